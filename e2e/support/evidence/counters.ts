import type { framesDropCounters, slotDropCounters } from '../../../driver-vm/slot-table.ts';
import { accountSetSize, type fenceCounters } from '../../../supervisor/fence.ts';
import { code, renderTable } from '../generated-part.ts';

/** What a row of a table of counters says. */
type Row<Name extends string> = { readonly names: readonly Name[]; readonly counts: string };

/** Example: `'65,536'`. */
const sizeOf = (set: string): string => accountSetSize(set).toLocaleString('en');

/**
 * What the fence counts, by the counters and sets that do. `supervisor/fence-counters.kernel.test.ts` has a test for each,
 * and docs/evidence.md is made from it.
 */
export const countedInFence = {
  all: { names: ['denied'], counts: 'every refused packet' },
  kinds: {
    names: ['denied_tcp', 'denied_udp', 'denied_other'],
    counts: 'the same by kind; UDP-Lite is with UDP',
  },
  ports: {
    names: ['seen4', 'seen6'],
    counts: `sets of ${sizeOf('seen4')}: packets by exec, destination, protocol and port, where the protocol has ports`,
  },
  portless: {
    names: ['other4', 'other6'],
    counts: `sets of ${sizeOf('other4')}: packets by exec, destination and protocol`,
  },
  over: { names: ['over_tcp', 'over_udp', 'over_other'], counts: 'packets that found no place in a set' },
  lines: {
    names: ['logged', 'unlogged'],
    counts: 'packets with a log line, and those whose line the limits withheld',
  },
  admitted: { names: ['allowed', 'direct'], counts: 'packets let out to the proxy, and by direct rules' },
  noise: {
    names: ['noise'],
    counts: "the kernel's own ICMPv6: router and neighbour discovery, multicast reports. No program sent them",
  },
  canary: {
    names: ['canary'],
    counts: 'packets by which the supervisor tries the fence itself. They are no attempts',
  },
} as const satisfies Readonly<Record<string, Row<FenceCounter | 'seen4' | 'seen6' | 'other4' | 'other6'>>>;
type FenceCounter = (typeof fenceCounters)[number];

/**
 * What the host's tables drop of a guest and count. `driver-vm/slot-watch.kernel.test.ts` has a test for each, and
 * docs/evidence.md is made from it.
 */
export const droppedByHost = {
  spoofed: 'from another MAC or IPv4 address than its own',
  ipv6: 'IPv6 that the policy did not ask for, or from another address',
  denied_input: "to something of the host that is not the gateway's port",
  denied_forward: 'to the world, past direct rules',
  raw: 'frames that are neither IP nor ARP',
} as const satisfies Readonly<Record<(typeof slotDropCounters)[number] | (typeof framesDropCounters)[number], string>>;

/** The table of {@link countedInFence}. */
export function renderCounted(): string {
  return renderTable(
    ['name', 'counts'],
    Object.values(countedInFence).map(({ names, counts }) => [code(names), counts]),
  );
}

/** The table of {@link droppedByHost}. */
export function renderDropped(): string {
  return renderTable(
    ['counter', 'the guest sent'],
    Object.entries(droppedByHost).map(([name, sent]) => [code([name]), sent]),
  );
}
