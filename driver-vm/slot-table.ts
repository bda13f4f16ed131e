import { link } from '../init/index.ts';
import {
  type Chain,
  type DirectDestination,
  directMatches,
  hasIp6,
  type Rule,
  type Ruleset,
  type TableName,
} from '../nft/index.ts';

/** The slot's one table. */
export const slotTable: TableName = { family: 'inet', name: `tapwarden_${link.hostInterface}` };

/** The slot's end of the veth to the host; it is there with direct rules only. */
export const slotUplink = 'up0';

/** The slot's table for frames that are no IP, which a table of family `inet` does not see. */
export const framesTable: TableName = { family: 'netdev', name: `tapwarden_${link.hostInterface}` };

/** The slot table's drop counters: what a guest did that its own fence should have stopped. */
export const slotDropCounters = ['spoofed', 'ipv6', 'denied_input', 'denied_forward'] as const;

/** The same of the table for frames. */
export const framesDropCounters = ['raw'] as const;

/**
 * The ruleset for frames that are no IP: dropped, before any other part of the host's kernel looks at them, and counted.
 * ARP is told apart, since a guest asks who somebody is without meaning harm; it is not answered either.
 */
export function framesRuleset(): Ruleset {
  return {
    table: framesTable,
    counters: ['noise', ...framesDropCounters],
    sets: [],
    chains: [
      {
        name: 'frames',
        hook: { type: 'filter', hook: 'ingress', device: link.hostInterface, priority: -501, policy: 'drop' },
        rules: [
          rule('meta protocol { ip, ip6 } accept', 'the other table decides'),
          rule('meta protocol arp counter name noise drop', 'both ends know each other'),
          rule('counter name raw drop', 'no other protocol is spoken'),
        ],
      },
    ],
  };
}

/**
 * The slot's ruleset: the host's half of the fence, which never asks the guest.
 *
 * - `ingress` pins the guest's MAC and source address and drops IPv6 that the policy did not ask for, before any other
 *   part of the host's kernel looks at the packet;
 * - `input` admits the gateway's port, and nothing else;
 * - `forward` admits the policy's direct destinations, and their replies;
 * - `postrouting` masquerades these.
 *
 * Every drop counts, and the counters of {@link slotDropCounters} count what the guest sent alone: an honest guest, whose own
 * fence stands, raises none of them. What its kernel says by itself is `noise`, what comes from the host's side `inward`.
 *
 * Source: nft(8); a table of family `ip` would leave the host's services open over IPv6 link-local.
 */
export function slotRuleset(direct: readonly DirectDestination[]): Ruleset {
  const tap = link.hostInterface;
  const withIp6 = hasIp6(direct);
  return {
    table: slotTable,
    counters: ['gateway', 'direct', 'noise', 'inward', ...slotDropCounters],
    sets: [],
    chains: [
      {
        name: 'ingress',
        hook: { type: 'filter', hook: 'ingress', device: tap, priority: -500, policy: 'accept' },
        rules: [
          rule(
            'icmpv6 type { 130, 131, 132, 133, 134, 135, 136, 143 } counter name noise drop',
            "the guest kernel's own noise",
          ),
          rule(`ether saddr != ${link.guestMac} counter name spoofed drop`, "only the guest's own MAC"),
          ...(withIp6
            ? [rule(`ip6 saddr != ${link.guestIpv6} counter name ipv6 drop`, "only the guest's own IPv6 address")]
            : [rule('meta protocol ip6 counter name ipv6 drop', 'the policy asks for no IPv6')]),
          rule(`ip saddr != ${link.guestIpv4} counter name spoofed drop`, "only the guest's own IPv4 address"),
          // Where nothing is forwarded, routing would drop such packets without counting them.
          ...(direct.length === 0
            ? [rule(`ip daddr != ${link.hostIpv4} counter name denied_forward drop`, 'the policy has no direct rule')]
            : []),
        ],
      },
      {
        name: 'input',
        hook: { type: 'filter', hook: 'input', priority: 'filter', policy: 'drop' },
        rules: [
          rule(
            `iifname "${tap}" ip daddr ${link.hostIpv4} tcp dport ${link.gatewayPort} counter name gateway accept`,
            'the guest reaches the gateway',
          ),
          rule(`iifname != "${tap}" counter name inward drop`, 'nobody has business here'),
          rule('counter name denied_input drop', 'nothing else of the host is reached'),
        ],
      },
      {
        name: 'forward',
        hook: { type: 'filter', hook: 'forward', priority: 'filter', policy: 'drop' },
        rules: [
          ...(direct.length === 0
            ? []
            : [rule(`iifname "${slotUplink}" oifname "${tap}" ct state established,related accept`, 'replies')]),
          rule(`iifname != "${tap}" counter name inward drop`, 'no reply, so not wanted'),
          ...(direct.length === 0
            ? []
            : [
                rule(
                  'meta l4proto { 1, 58 } ct state related counter name noise drop',
                  "the guest kernel's own errors about replies",
                ),
              ]),
          ...directMatches(direct).map(({ match, comment }) =>
            rule(`iifname "${tap}" oifname "${slotUplink}" ${match} counter name direct accept`, comment),
          ),
          rule('counter name denied_forward drop', 'nothing else is forwarded'),
        ],
      },
      ...(direct.length === 0 ? [] : [masquerade]),
    ],
  };
}

const rule = (body: string, comment: string): Rule => ({ body, comment });

const masquerade: Chain = {
  name: 'postrouting',
  hook: { type: 'nat', hook: 'postrouting', priority: 'srcnat', policy: 'accept' },
  rules: [rule(`oifname "${slotUplink}" masquerade`, "direct traffic leaves with the slot's address")],
};
