import {
  type Chain,
  type DirectDestination,
  directMatches,
  encodeLogPrefix,
  type NftSet,
  type Rule,
  type Ruleset,
} from '../nft/index.ts';
import { workloadNet } from './addresses.ts';
import { fenceTable } from './fence-table.ts';

/** What the fence is rendered from. */
export type FenceSpec = {
  /** The run's secret in the log prefix, 8 to 32 characters `[a-z0-9]`. */
  readonly tag: string;
  /** Whether the kernel can log. Without it packets are refused and counted, and nobody reads of them one by one. */
  readonly log: boolean;
  /** Whether the kernel has sets that packets fill. Without them packets are counted by kind alone. */
  readonly account: boolean;
  /** The mark of each exec; `undefined` where the kernel cannot tell the cgroup of a socket. */
  readonly execs: ExecMarks | undefined;
  /** Which of the two generations of sets packets are counted in. */
  readonly generation: Generation;
  /** What the policy's direct rules admit past the proxy. */
  readonly direct: readonly DirectDestination[];
  /** Log lines at once: what the kernel's log holds until they are read. @default {@link guestLineBurst} */
  readonly lineBurst?: number;
};

/** Lines at once in a guest, which boots with a log of 4 MiB. */
export const guestLineBurst = 2000;

/** Which packet mark stands for which exec, by the cgroup of the exec. */
export type ExecMarks = {
  /** How deep below the root of cgroup v2 the cgroups of the execs are: 2 for `workload/exec-1`. */
  readonly level: number;
  /** Paths are those below `/sys/fs/cgroup`, where nft looks for them. The cgroups exist. */
  readonly cgroups: readonly { readonly cgroup: string; readonly mark: number }[];
};

/** Sets rotate: packets are counted in those of one generation while those of the other are read and deleted. */
export type Generation = 'a' | 'b';

/**
 * The fence: the ruleset in the workload's namespace that lets packets out to the proxy, and to the policy's direct
 * destinations, and refuses, counts and logs all others, of every protocol.
 *
 * - TCP is refused with a reset: the kernel limits the rate of ICMP errors, so that by ICMP alone 500 parallel connects
 *   take seconds to learn that they were refused. All else is refused with `icmpx`.
 * - The verdict stands last in a chain of its own and depends on nothing. Counting and logging happen before, in rules
 *   without a verdict: one that breaks off, as on a packet without ports, takes nothing with it.
 * - A mark names the exec by the cgroup of the socket. One that a program set is not believed.
 * - Canaries are packets of root to addresses of their own, by which the supervisor sees that refusals are logged. They are
 *   refused and logged by the same rules as all others, and counted apart.
 * - Each packet is counted once by exec, destination, protocol and port, or, where the sets have no place for it, by kind:
 *   `denied = elements of the sets + over_tcp + over_udp + over_other`.
 * - Log lines are limited for each destination, so that a flood on one does not hide another, and as a whole, below what
 *   the reader takes. What the limits withheld is counted in `unlogged`: `denied = logged + unlogged`, always.
 *
 * Source: nft(8).
 */
export function fenceRuleset(spec: FenceSpec): Ruleset {
  return {
    table: fenceTable,
    counters: [...fenceCounters],
    sets: [
      ...(spec.execs === undefined ? [] : [execMap(spec.execs)]),
      ...(spec.account ? Object.values(accountSets(spec.generation)) : []),
      ...(spec.log ? limitSets : []),
    ],
    chains: [
      kindsChain,
      overflowChain,
      ...(spec.account ? countChains(spec.generation) : []),
      ...(spec.log ? logChains(spec) : []),
      refuseChain,
      canaryChain(spec),
      {
        name: 'output',
        hook: { type: 'filter', hook: 'output', priority: 'filter', policy: 'drop' },
        rules: [
          // Resets that the fence makes travel over lo, and without this a refused connect hangs.
          rule('oifname "lo" accept', 'the workload talks to itself'),
          rule(`meta skuid 0 ip daddr ${canaryNet.ip4} goto canary`, "the supervisor's canaries, IPv4"),
          rule(`meta skuid 0 ip6 daddr ${canaryNet.ip6} goto canary`, "the supervisor's canaries, IPv6"),
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
          rule('jump kinds', 'and by kind'),
          ...markRules(spec.execs),
          ...(spec.account
            ? [
                rule('meta nfproto ipv4 jump count4', 'and by exec and destination, IPv4'),
                rule('meta nfproto ipv6 jump count6', 'and by exec and destination, IPv6'),
              ]
            : [rule('jump overflow', 'the kernel has no sets to count in')]),
          ...(spec.log
            ? [
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

/** The chains that a change of the generation gives other rules. */
export const generationChains = ['count4', 'count4_portless', 'count6', 'count6_portless'] as const;

/** The names of the sets of a generation. */
export function accountSetNames(generation: Generation): readonly string[] {
  return Object.values(accountSets(generation)).map(({ name }) => name);
}

/** How many elements a set of a generation takes, by its name. */
export function accountSetSize(name: string): number {
  return name.startsWith('seen') ? seenSize : otherSize;
}

/**
 * The fence's named counters. `denied` is the sum of the three `denied_*`, and of `logged` and `unlogged`; each `over_*`
 * is the part of its `denied_*` that no set had a place for.
 */
export const fenceCounters = [
  'allowed',
  'direct',
  'noise',
  'denied',
  'denied_tcp',
  'denied_udp',
  'denied_other',
  'canary',
  'over_tcp',
  'over_udp',
  'over_other',
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
    rule('meta l4proto 6 reject with tcp reset', 'TCP is refused at once'),
    rule('reject with icmpx admin-prohibited', 'every other protocol is refused'),
  ],
};

const kindsChain: Chain = {
  name: 'kinds',
  rules: [
    rule('meta l4proto 6 counter name denied_tcp return', 'TCP'),
    rule('meta l4proto { 17, 136 } counter name denied_udp return', 'UDP and UDP-Lite'),
    rule('counter name denied_other', 'every other protocol'),
  ],
};

/** Where canaries go: documentation addresses, that nothing else is refused at for root. Source: RFC 5737, RFC 3849. */
export const canaryNet = { ip4: '203.0.113.0/24', ip6: '2001:db8:7477::/48' } as const;
/** The bit of the mark that makes a canary of a packet; the others name the exec, as always. */
export const canaryBit = 0x4000_0000;

function canaryChain({ execs, log }: FenceSpec): Chain {
  return {
    name: 'canary',
    rules: [
      ...markRules(execs),
      rule(`meta mark set meta mark | ${canaryBit}`, 'a canary'),
      rule('counter name canary', 'counted apart'),
      ...(log ? [rule('jump tell', 'logged as any other')] : []),
      rule('goto refuse', 'refused as any other'),
    ],
  };
}

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

const seenSize = 65_536;
const otherSize = 16_384;

const accountSet = (name: string, type: string, size: number): NftSet => ({
  name,
  type,
  flags: ['dynamic'],
  size,
  counter: true,
});

function accountSets(generation: Generation) {
  return {
    seen4: accountSet(`seen4_${generation}`, 'mark . ipv4_addr . inet_proto . inet_service', seenSize),
    seen6: accountSet(`seen6_${generation}`, 'mark . ipv6_addr . inet_proto . inet_service', seenSize),
    other4: accountSet(`other4_${generation}`, 'mark . ipv4_addr . inet_proto', otherSize),
    other6: accountSet(`other6_${generation}`, 'mark . ipv6_addr . inet_proto', otherSize),
  } as const;
}

/**
 * By exec, destination, protocol and port; else without the port; else by kind. A rule whose set is full breaks off.
 *
 * Later fragments have no ports, but the kernel reads bytes of their payload as such if it is asked.
 */
function countChains(generation: Generation): readonly Chain[] {
  return [
    { version: '4', address: 'ip daddr', fragment: 'ip frag-off & 0x1fff != 0' },
    // Without the header there is nothing to compare, and the rule breaks off.
    { version: '6', address: 'ip6 daddr', fragment: 'frag frag-off != 0' },
  ].flatMap(({ version, address, fragment }) => [
    {
      name: `count${version}`,
      rules: [
        rule(`${fragment} goto count${version}_portless`, 'fragments but the first have no ports'),
        rule(
          `${withPorts} add @seen${version}_${generation} { meta mark . ${address} . meta l4proto . th dport } return`,
          'by exec, destination, protocol and port',
        ),
        rule(`goto count${version}_portless`, 'protocols without ports, short packets, ports that found no place'),
      ],
    },
    {
      name: `count${version}_portless`,
      rules: [
        rule(
          `add @other${version}_${generation} { meta mark . ${address} . meta l4proto } return`,
          'by exec, destination and protocol',
        ),
        rule('goto overflow', 'destinations that found no place'),
      ],
    },
  ]);
}

const overflowChain: Chain = {
  name: 'overflow',
  rules: [
    rule('meta l4proto 6 counter name over_tcp return', 'TCP that no set counted'),
    rule('meta l4proto { 17, 136 } counter name over_udp return', 'UDP and UDP-Lite that no set counted'),
    rule('counter name over_other', 'other protocols that no set counted'),
  ],
};

/** The map from the cgroups of execs to their marks. */
export const execsMap = 'execs';

const execMap = ({ cgroups }: ExecMarks): NftSet => ({
  name: execsMap,
  type: 'cgroupsv2',
  data: 'mark',
  size: 65_535,
  elements: cgroups.map(({ cgroup, mark }) => `"${cgroup}" : ${mark}`),
});

function markRules(execs: ExecMarks | undefined): readonly Rule[] {
  const none = rule('meta mark set 0', 'no mark that a program set');
  if (execs === undefined) return [none];
  return [none, rule(`meta mark set socket cgroupv2 level ${execs.level} map @${execsMap}`, 'the exec that sent it')];
}

/** A destination's own allowance: 500 lines at once, then 50 a second. */
const perDestination = 'limit rate 50/second burst 500 packets';
/** What is left for destinations when the sets are full. */
const withoutPlace = 'limit rate 20/second burst 40 packets';
function logChains({ tag, lineBurst = guestLineBurst }: FenceSpec): readonly Chain[] {
  // All lines together: what the reader takes, under emulation too.
  const cap = `limit rate over 2000/second burst ${lineBurst} packets`;
  const say: Chain = {
    name: 'say',
    rules: [
      rule(`${cap} counter name unlogged return`, 'no more lines than the reader takes'),
      rule('counter name logged goto tell', 'the others are told of'),
    ],
  };
  const tell: Chain = {
    name: 'tell',
    rules: [rule(`log prefix "${encodeLogPrefix({ tag })}" level info flags skuid`, 'one line for the supervisor')],
  };
  return [tell, say, logChain('4', 'ip daddr'), logChain('6', 'ip6 daddr')];
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
