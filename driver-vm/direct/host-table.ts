import type { Rule, Ruleset, TableName } from '../../nft/index.ts';

/** The one table of the root namespace. It is there while a sandbox with direct rules is. */
export const hostTable: TableName = { family: 'inet', name: 'tapwarden_host' };

/**
 * Its sets: the host's ends of the slots' veths; the interfaces that were no routers before, by family; and the families
 * in which the whole host was none, on kernels that know no router by interface.
 */
export const hostSets = { slots: 'slots', opened: 'opened', closed: 'closed' } as const;

/** Its counters, in packets. Example: `denied_host` counts what slots sent to the host. */
export const hostCounters = [
  'forwarded',
  'replies',
  'denied_invalid',
  'denied_slot_to_slot',
  'denied_host',
  'denied_to_slot',
  'denied_routed',
] as const;

/**
 * The ruleset of the root namespace for direct egress: from slots to the world and the replies, nothing else. A sandbox
 * is an element of a set, so that the cost of a packet does not grow with their number.
 *
 * What the policy allows is decided in the slot. Here slots are kept from each other and from the host, and the host is
 * kept from routing for others what it did not route before.
 *
 * Source: nft(8). `iifname` in a `postrouting` chain needs Linux 5.7, `masquerade` in an `inet` table 5.2.
 */
export function hostRuleset(): Ruleset {
  return {
    table: hostTable,
    counters: [...hostCounters],
    sets: [
      { name: hostSets.slots, type: 'ifname' },
      { name: hostSets.opened, type: 'nf_proto . ifname' },
      { name: hostSets.closed, type: 'nf_proto' },
    ],
    chains: [
      {
        name: 'input',
        hook: { type: 'filter', hook: 'input', priority: 'filter', policy: 'accept' },
        rules: [rule('iifname @slots counter name denied_host drop', 'a slot reaches nothing of the host')],
      },
      {
        name: 'forward',
        hook: { type: 'filter', hook: 'forward', priority: 'filter', policy: 'accept' },
        rules: [
          // Conntrack translates no packet that it cannot place, and it would leave with an address of the slot.
          rule('iifname @slots ct state invalid counter name denied_invalid drop', 'what cannot be masqueraded stays'),
          rule('iifname @slots oifname @slots counter name denied_slot_to_slot drop', 'a slot reaches no other'),
          rule('iifname @slots counter name forwarded accept', 'what the slot let out goes on'),
          rule('oifname @slots ct state established,related counter name replies accept', 'replies'),
          rule('oifname @slots counter name denied_to_slot drop', 'nobody else reaches a slot'),
          rule(
            'meta nfproto . iifname @opened counter name denied_routed drop',
            'the interface was no router before, and is none for others',
          ),
          rule('meta nfproto @closed counter name denied_routed drop', 'the host was no router before'),
        ],
      },
      {
        name: 'postrouting',
        hook: { type: 'nat', hook: 'postrouting', priority: 'srcnat', policy: 'accept' },
        rules: [rule('iifname @slots oifname != @slots masquerade', "direct traffic leaves with the host's address")],
      },
    ],
  };
}

const rule = (body: string, comment: string): Rule => ({ body, comment });
