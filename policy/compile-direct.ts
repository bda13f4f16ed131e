import { TapwardenError } from '../base/errors.ts';
import { type AddressRange, compareRanges, contains, formatRange, knownRange, parseAddressRange } from './address.ts';
import { type Cidr, type DirectRule, type Policy, type PortRange, type Protocol, protocolNumbers } from './model.ts';
import { hasPort } from './port.ts';
import { cutPorts, mergePorts, mergeRanges, subtractRanges } from './range-set.ts';
import { embeddings, specialRanges } from './special-range.ts';

/** Destinations that the packet filter lets through without the proxy. */
export type DirectEntry = {
  /** The name of the first rule that allows them. */
  readonly rule: string;
  /** The number in the IP header. Example: 17 for UDP. */
  readonly protocol: number;
  readonly cidr: Cidr;
  /** `null` for protocols without ports. */
  readonly ports: PortRange | null;
};

/** The direct rules of a policy as sets for a packet filter, one a family. */
export type DirectSets = { readonly v4: readonly DirectEntry[]; readonly v6: readonly DirectEntry[] };

/** Says whether a policy lets anything through without the proxy. */
export function hasDirect(policy: Policy): boolean {
  return policy.rules.some(({ kind }) => kind === 'direct');
}

/**
 * Compiles the direct rules to sets. The entries of a set are disjoint, so nft takes them as elements of one interval
 * set; they stand in the order of the rules, then of ports, then of addresses.
 *
 * `exclude` (addresses or CIDRs: the host's, the slots') is never part of the result. Special ranges and IPv6 ranges that
 * carry IPv4 addresses are cut out of entries that merely contain them, so that `0.0.0.0/0` opens no private network; an
 * entry that lies wholly inside of one stays.
 *
 * Example: a rule `ntp` for `192.0.2.10`, UDP, port 123 gives `{v4: [{rule: 'ntp', protocol: 17, cidr: '192.0.2.10/32',
 * ports: [123, 123]}], v6: []}`.
 *
 * @throws NAME_INVALID when an entry of `exclude` is not an address or CIDR
 */
export function compileDirect(policy: Policy, { exclude }: { readonly exclude: readonly string[] }): DirectSets {
  const excluded = exclude.map(parseExcluded);
  const earlier: Region[] = [];
  const entries: DirectEntry[] = [];
  for (const rule of policy.rules) {
    if (rule.kind !== 'direct') continue;
    const region = regionOf(rule, excluded);
    for (const { range, ports } of regionWithout(region, earlier)) {
      entries.push({
        rule: rule.name,
        protocol: protocolNumbers[rule.protocol],
        cidr: formatRange(range),
        ports: rule.ports.length === 0 ? null : ports,
      });
    }
    earlier.push(region);
  }
  return {
    v4: entries.filter(({ cidr }) => !cidr.includes(':')),
    v6: entries.filter(({ cidr }) => cidr.includes(':')),
  };
}

/** What one rule allows: each of its ranges at each of its ports. Both are disjoint and ascending. */
type Region = {
  readonly protocol: Protocol;
  readonly ranges: readonly AddressRange[];
  readonly ports: readonly PortRange[];
};

/** One range at some adjacent ports. */
type Part = { readonly range: AddressRange; readonly ports: PortRange };

function regionOf({ protocol, addresses, ports }: DirectRule, excluded: readonly AddressRange[]): Region {
  const ranges = addresses
    .map(knownRange)
    .flatMap((range) => subtractRanges(range, [...excluded, ...shieldedFrom(range)]));
  // Protocols without ports get them all, so that the arithmetic is the same.
  return { protocol, ranges: mergeRanges(ranges), ports: ports.length === 0 ? [[0, 65535]] : mergePorts(ports) };
}

/** The special and the carrying ranges that `range` contains without lying inside of them. */
function shieldedFrom(range: AddressRange): readonly AddressRange[] {
  return [...specialRanges, ...embeddings].map((each) => each.range).filter((each) => !contains(each, range));
}

/** What is in `region` and in none of `earlier`, ordered by ports, then by addresses. */
function regionWithout(region: Region, earlier: readonly Region[]): readonly Part[] {
  const rivals = earlier.filter(({ protocol }) => protocol === region.protocol);
  const cuts = rivals.flatMap(({ ports }) => ports);
  return region.ports.flatMap((ports) =>
    joinSegments(
      cutPorts(ports, cuts).map((segment) => {
        // A segment lies in a rival's ports wholly or not at all, so one of its ports tells.
        const taken = rivals.filter((rival) => hasPort(rival.ports, segment[0])).flatMap(({ ranges }) => ranges);
        return { ports: segment, ranges: region.ranges.flatMap((range) => subtractRanges(range, taken)) };
      }),
    ),
  );
}

type Segment = { readonly ports: PortRange; readonly ranges: readonly AddressRange[] };

/** Lists the parts of adjacent segments, those with equal ranges joined to one. */
function joinSegments(segments: readonly Segment[]): readonly Part[] {
  const joined: Segment[] = [];
  for (const segment of segments) {
    const last = joined.at(-1);
    if (last !== undefined && isSame(last.ranges, segment.ranges)) {
      joined[joined.length - 1] = { ports: [last.ports[0], segment.ports[1]], ranges: last.ranges };
    } else {
      joined.push(segment);
    }
  }
  return joined.flatMap(({ ports, ranges }) => ranges.map((range) => ({ range, ports })));
}

function isSame(a: readonly AddressRange[], b: readonly AddressRange[]): boolean {
  return (
    a.length === b.length &&
    a.every((range, index) => {
      const other = b[index];
      return other !== undefined && compareRanges(range, other) === 0;
    })
  );
}

function parseExcluded(text: string): AddressRange {
  const checked = parseAddressRange(text);
  if (checked.kind === 'ok') return checked.value;
  throw new TapwardenError('NAME_INVALID', {
    message: `Cannot exclude this from direct rules: ${checked.message}`,
    ...(checked.hint === undefined ? {} : { hint: checked.hint }),
  });
}
