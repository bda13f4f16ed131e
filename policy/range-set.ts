import { type AddressRange, compareRanges, contains } from './address.ts';
import type { PortRange } from './model.ts';

/**
 * The addresses of `range` that are in none of `excluded`, as the fewest CIDRs, in ascending order.
 *
 * Example: `10.0.0.0/30` without `10.0.0.1/32` is `10.0.0.0/32`, `10.0.0.2/31`.
 */
export function subtractRanges(range: AddressRange, excluded: readonly AddressRange[]): readonly AddressRange[] {
  const touching = excluded.filter((other) => contains(range, other) || contains(other, range));
  if (touching.length === 0) return [range];
  if (touching.some((other) => contains(other, range))) return [];
  // Every half is either kept whole, dropped whole or split again, so no two results are halves of one range.
  return halves(range).flatMap((half) => subtractRanges(half, touching));
}

/** The same addresses as the fewest CIDRs, disjoint and in ascending order, IPv4 first. */
export function mergeRanges(ranges: readonly AddressRange[]): readonly AddressRange[] {
  const merged: AddressRange[] = [];
  for (const range of ranges.toSorted(compareRanges)) {
    const last = merged.at(-1);
    if (last !== undefined && contains(last, range)) continue;
    let next = range;
    for (let before = merged.at(-1); before !== undefined; before = merged.at(-1)) {
      const parent = parentOf(before, next);
      if (parent === undefined) break;
      merged.pop();
      next = parent;
    }
    merged.push(next);
  }
  return merged;
}

/** The same ports as the fewest ranges, disjoint and in ascending order. */
export function mergePorts(ports: readonly PortRange[]): readonly PortRange[] {
  const merged: PortRange[] = [];
  for (const [from, to] of ports.toSorted((a, b) => a[0] - b[0] || a[1] - b[1])) {
    const last = merged.at(-1);
    if (last !== undefined && from <= last[1] + 1) merged[merged.length - 1] = [last[0], Math.max(last[1], to)];
    else merged.push([from, to]);
  }
  return merged;
}

/**
 * Cuts `range` where a range of `cuts` begins or ends, so that each piece lies in each of `cuts` wholly or not at all.
 * `[1, 9]` cut by `[3, 4]` is `[1, 2]`, `[3, 4]`, `[5, 9]`.
 */
export function cutPorts(range: PortRange, cuts: readonly PortRange[]): readonly PortRange[] {
  const [from, to] = range;
  const begins = new Set([from, ...cuts.flatMap((cut) => [cut[0], cut[1] + 1])]);
  const sorted = [...begins].filter((begin) => begin >= from && begin <= to).toSorted((a, b) => a - b);
  return sorted.map((begin, index) => [begin, (sorted[index + 1] ?? to + 1) - 1]);
}

function halves({ bits, base, prefix }: AddressRange): readonly AddressRange[] {
  const half = 1n << BigInt(bits - prefix - 1);
  return [
    { bits, base, prefix: prefix + 1 },
    { bits, base: base + half, prefix: prefix + 1 },
  ];
}

/** The range of which `a` and `b` are the lower and the upper half, if there is one. */
function parentOf(a: AddressRange, b: AddressRange): AddressRange | undefined {
  if (a.bits !== b.bits || a.prefix !== b.prefix || a.prefix === 0) return undefined;
  const size = 1n << BigInt(a.bits - a.prefix);
  return a.base + size === b.base && a.base % (2n * size) === 0n
    ? { bits: a.bits, base: a.base, prefix: a.prefix - 1 }
    : undefined;
}
