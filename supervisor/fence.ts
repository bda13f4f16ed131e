import {
  type Chain,
  type DirectDestination,
  directMatches,
  encodeLogPrefix,
  type NftSet,
  type Rule,
  type Ruleset,
  type TableName,
} from '../nft/index.ts';
import { workloadNet } from './addresses.ts';

/** What the fence is rendered from. */
export type FenceSpec = {
  /** The run's secret in the log prefix, 8 to 32 characters `[a-z0-9]`. */
  readonly tag: string;
  /** Whether the kernel can log. Without it packets are refused and counted, and nobody reads of them one by one. */
  readonly log: boolean;
  /** What the policy's direct rules admit past the proxy. */
  readonly direct: readonly DirectDestination[];
};

/** The fence's table in the workload's namespace. */
export const fenceTable: TableName = { family: 'inet', name: 'tapwarden_fence' };

/**
 * The fence: the ruleset in the workload's namespace that lets packets out to the proxy, and to the policy's direct
 * destinations, and refuses, counts and logs all others, of every protocol.
 *
 * - TCP is refused with a reset: the kernel limits the rate of ICMP errors, so that by ICMP alone 500 parallel connects
 *   take seconds to learn that they were refused. All else is refused with `icmpx`.
 * - The verdict stands last in a chain of its own and depends on nothing. Counting and logging happen before, in rules
 *   without a verdict: one that breaks off, as on a packet without ports, takes nothing with it.
 * - Log lines are limited for each destination, so that a flood on one does not hide another, and as a whole, below what
 *   the reader takes. What the limits withheld is counted in `unlogged`: `denied = logged + unlogged`, always.
 *
 * Source: nft(8).
 */
export function fenceRuleset(spec: FenceSpec): Ruleset {
  return {
    table: fenceTable,
    counters: [...fenceCounters],
    sets: spec.log ? [...limitSets, ...Object.values(unprintedSets)] : [],
    chains: [
      ...(spec.log ? logChains(spec.tag) : []),
      refuseChain,
      {
        name: 'output',
        hook: { type: 'filter', hook: 'output', priority: 'filter', policy: 'drop' },
        rules: [
          // Resets that the fence makes travel over lo, and without this a refused connect hangs.
          rule('oifname "lo" accept', 'the workload talks to itself'),
          rule(
            `oifname "${link}" ip daddr ${workloadNet.supervisorIp4} tcp dport ${workloadNet.proxyPort} counter name allowed accept`,
            'the way out: the proxy',
          ),
          ...directRules(spec.direct),
          // Router solicitation and discovery, neighbour discovery, multicast listener reports: no program sent them.
          rule(
            'icmpv6 type { 130, 131, 132, 133, 134, 135, 136, 143 } counter name noise drop',
            "the kernel's own noise",
          ),
          rule('counter name denied', 'every refused packet is counted'),
          ...(spec.log
            ? [
                ...noteRules,
                rule('meta nfproto ipv4 jump log4', 'refused packets are logged, IPv4'),
                rule('meta nfproto ipv6 jump log6', 'refused packets are logged, IPv6'),
              ]
            : [rule('counter name unlogged', 'the kernel cannot log')]),
          rule('goto refuse', 'everything else is refused'),
        ],
      },
    ],
  };
}

/** The fence's named counters. `denied` is the sum of the three `denied_*`, and of `logged` and `unlogged`. */
export const fenceCounters = [
  'allowed',
  'direct',
  'noise',
  'denied',
  'denied_tcp',
  'denied_udp',
  'denied_other',
  'logged',
  'unlogged',
] as const;

const link = workloadNet.workloadLink;
const rule = (body: string, comment: string): Rule => ({ body, comment });

/** TCP, UDP, DCCP, SCTP, UDP-Lite: the protocols whose header begins with two ports. */
const withPorts = 'meta l4proto { 6, 17, 33, 132, 136 }';

const refuseChain: Chain = {
  name: 'refuse',
  rules: [
    rule('meta l4proto 6 counter name denied_tcp reject with tcp reset', 'TCP is refused at once'),
    rule(
      'meta l4proto { 17, 136 } counter name denied_udp reject with icmpx admin-prohibited',
      'UDP and UDP-Lite are refused',
    ),
    rule('counter name denied_other reject with icmpx admin-prohibited', 'every other protocol is refused'),
  ],
};

const limitSet = (name: string, type: string, size: number): NftSet => ({
  name,
  type,
  flags: ['dynamic', 'timeout'],
  size,
  timeoutS: 60,
});

const limitSets: readonly NftSet[] = [
  limitSet('limit4', 'ipv4_addr . inet_proto . inet_service', 65_536),
  limitSet('limit6', 'ipv6_addr . inet_proto . inet_service', 65_536),
  limitSet('limit4_portless', 'ipv4_addr . inet_proto', 16_384),
  limitSet('limit6_portless', 'ipv6_addr . inet_proto', 16_384),
];

const unprintedSet = (name: string, address: string): NftSet => ({
  name,
  type: `${address} . inet_proto . inet_service`,
  flags: ['dynamic'],
  size: 4096,
});

/**
 * Ports of DCCP (33) and SCTP (132) packets by destination, with a counter each: the kernel's log line of these
 * protocols has no ports.
 */
export const unprintedSets = {
  ip4: unprintedSet('unprinted4', 'ipv4_addr'),
  ip6: unprintedSet('unprinted6', 'ipv6_addr'),
} as const;

const noteRules: readonly Rule[] = [
  ['ip daddr', unprintedSets.ip4.name] as const,
  ['ip6 daddr', unprintedSets.ip6.name] as const,
].map(([address, set]) =>
  rule(
    `${address.startsWith('ip6') ? 'meta nfproto ipv6' : 'meta nfproto ipv4'} meta l4proto { 33, 132 } add @${set} { ${address} . meta l4proto . th dport counter }`,
    'ports that the log line leaves out',
  ),
);

/** A destination's own allowance: 500 lines at once, then 50 a second. */
const perDestination = 'limit rate 50/second burst 500 packets';
/** What is left for destinations when the sets are full. */
const withoutPlace = 'limit rate 20/second burst 40 packets';
/** All lines together: what the reader takes, under emulation too. */
const cap = 'limit rate over 2000/second burst 2000 packets';

function logChains(tag: string): readonly Chain[] {
  const say: Chain = {
    name: 'say',
    rules: [
      rule(`${cap} counter name unlogged return`, 'no more lines than the reader takes'),
      rule(
        `counter name logged log prefix "${encodeLogPrefix({ tag })}" level info flags skuid`,
        'one line for the supervisor',
      ),
    ],
  };
  return [say, logChain('4', 'ip daddr'), logChain('6', 'ip6 daddr')];
}

function logChain(version: '4' | '6', address: string): Chain {
  return {
    name: `log${version}`,
    rules: [
      rule(
        `${withPorts} update @limit${version} { ${address} . meta l4proto . th dport ${perDestination} } goto say`,
        'a line for each destination and port, within its allowance',
      ),
      rule(
        `update @limit${version}_portless { ${address} . meta l4proto ${perDestination} } goto say`,
        'protocols without ports, and packets that end before them',
      ),
      rule(`${withoutPlace} goto say`, 'destinations beyond their allowance, or for which the sets had no place'),
      rule('counter name unlogged', 'a line that was withheld'),
    ],
  };
}

function directRules(direct: readonly DirectDestination[]): readonly Rule[] {
  return directMatches(direct).map(({ match, comment }) =>
    rule(`oifname "${link}" ${match} counter name direct accept`, comment),
  );
}
