import { link } from '../init/contract.ts';
import {
  type Chain,
  type DirectDestination,
  directMatches,
  type Rule,
  type Ruleset,
  type TableName,
} from '../nft/index.ts';
import { workloadNet } from './addresses.ts';

/** The table in the guest's own namespace. */
export const guestTable: TableName = { family: 'inet', name: 'tapwarden_guest' };

/**
 * The ruleset of the guest's own namespace, in which the supervisor and its proxy run: from the workload's veth to the
 * proxy's port and nowhere else; from the TAP, replies only; forwarding for the policy's direct destinations only. In a
 * jail this namespace is the slot, and `uplink` its interface to the host, which is there with direct rules only.
 *
 * Source: nft(8).
 */
export function guestRuleset(direct: readonly DirectDestination[], uplink: string = link.guestInterface): Ruleset {
  const { supervisorLink, workloadIp4, supervisorIp4, proxyPort } = workloadNet;
  return {
    table: guestTable,
    counters: ['proxy', 'denied_input', 'denied_forward'],
    sets: [],
    chains: [
      {
        name: 'input',
        hook: { type: 'filter', hook: 'input', priority: 'filter', policy: 'drop' },
        rules: [
          rule('iifname "lo" accept', 'the supervisor talks to itself'),
          rule(
            `iifname "${supervisorLink}" ip saddr ${workloadIp4} ip daddr ${supervisorIp4} tcp dport ${proxyPort} counter name proxy accept`,
            'the workload reaches the proxy',
          ),
          rule(`iifname "${uplink}" ct state established,related accept`, 'replies from the gateway'),
          rule('counter name denied_input drop', 'nothing else reaches the supervisor'),
        ],
      },
      {
        name: 'forward',
        hook: { type: 'filter', hook: 'forward', priority: 'filter', policy: 'drop' },
        rules: [
          ...(direct.length === 0
            ? []
            : [rule(`iifname "${uplink}" oifname "${supervisorLink}" ct state established,related accept`, 'replies')]),
          ...directMatches(direct).map(({ match, comment }) =>
            rule(`iifname "${supervisorLink}" oifname "${uplink}" ${match} accept`, comment),
          ),
          rule('counter name denied_forward drop', 'nothing else is forwarded'),
        ],
      },
      ...(direct.length === 0 ? [] : [masquerade(uplink)]),
    ],
  };
}

const rule = (body: string, comment: string): Rule => ({ body, comment });

const masquerade = (uplink: string): Chain => ({
  name: 'postrouting',
  hook: { type: 'nat', hook: 'postrouting', priority: 'srcnat', policy: 'accept' },
  rules: [rule(`oifname "${uplink}" masquerade`, "direct traffic leaves with the guest's address")],
});
