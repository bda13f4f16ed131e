import test from 'ava';
import { type AddressRange, contains, enclosing, formatRange, knownRange } from './address.ts';
import { cutPorts, mergePorts, mergeRanges, subtractRanges } from './range-set.ts';

const subtract = test.macro({
  exec: (t, range: string, excluded: readonly string[], want: readonly string[]) =>
    t.deepEqual(subtractRanges(knownRange(range), excluded.map(knownRange)).map(formatRange), want),
  title: (_, range: string, excluded: readonly string[]) =>
    `subtractRanges: ${range} without ${excluded.join(', ') || 'nothing'}`,
});
test(subtract, '10.0.0.0/30', [], ['10.0.0.0/30']);
test(subtract, '10.0.0.0/30', ['10.0.0.1/32'], ['10.0.0.0/32', '10.0.0.2/31']);
test(subtract, '10.0.0.0/30', ['10.0.0.0/30'], []);
test(subtract, '10.0.0.0/30', ['10.0.0.0/8'], []);
test(subtract, '10.0.0.0/30', ['2001:db8::/32'], ['10.0.0.0/30']);
test(subtract, '0.0.0.0/0', ['0.0.0.0/1'], ['128.0.0.0/1']);
test(subtract, '::/0', ['8000::/1', '4000::/2', '::/2'], []);
test(subtract, '2001:db8::/126', ['2001:db8::3/128'], ['2001:db8::/127', '2001:db8::2/128']);

/** Pseudo-random ranges of at most 64 addresses around 10.0.0.0, by a linear congruential generator. */
function smallRanges(seed: number): () => AddressRange {
  let state = seed;
  const next = (below: number) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 8) % below;
  };
  const base = knownRange('10.0.0.0/26').base;
  return () => enclosing({ bits: 32, base: base + BigInt(next(64)), prefix: 32 }, 26 + next(7));
}

const addressesOf = ({ base, prefix }: AddressRange): readonly bigint[] =>
  Array.from({ length: 2 ** (32 - prefix) }, (_, index) => base + BigInt(index));

/** The fewest CIDRs of a set of addresses: at each address the widest aligned range that is wholly inside. */
function fewest(addresses: ReadonlySet<bigint>): readonly string[] {
  const result: string[] = [];
  const done = new Set<bigint>();
  for (const base of [...addresses].toSorted((a, b) => (a < b ? -1 : 1))) {
    if (done.has(base)) continue;
    const range = Array.from({ length: 7 }, (_, index): AddressRange => ({ bits: 32, base, prefix: 26 + index })).find(
      (each) =>
        enclosing(each, each.prefix).base === base && addressesOf(each).every((address) => addresses.has(address)),
    );
    if (range === undefined) throw new RangeError('unreachable');
    for (const address of addressesOf(range)) done.add(address);
    result.push(formatRange(range));
  }
  return result;
}

test('subtractRanges: equals brute force on small ranges, with the fewest CIDRs', (t) => {
  const next = smallRanges(1);
  for (let round = 0; round < 1000; round += 1) {
    const range = next();
    const excluded = Array.from({ length: round % 7 }, next);
    const gone = new Set(excluded.flatMap(addressesOf));
    const left = new Set(addressesOf(range).filter((address) => !gone.has(address)));
    t.deepEqual(subtractRanges(range, excluded).map(formatRange), fewest(left));
  }
});

test('mergeRanges: equals brute force on small ranges, with the fewest CIDRs', (t) => {
  const next = smallRanges(2);
  for (let round = 0; round < 1000; round += 1) {
    const ranges = Array.from({ length: round % 12 }, next);
    t.deepEqual(mergeRanges(ranges).map(formatRange), fewest(new Set(ranges.flatMap(addressesOf))));
  }
});

test('mergeRanges: keeps the families apart', (t) => {
  const ranges = ['::/1', '128.0.0.0/1', '8000::/1', '0.0.0.0/1'].map(knownRange);
  t.deepEqual(mergeRanges(ranges).map(formatRange), ['0.0.0.0/0', '::/0']);
});

test('contains: an IPv4 range contains no IPv6 address', (t) => {
  t.false(contains(knownRange('0.0.0.0/0'), knownRange('::/0')));
  t.false(contains(knownRange('::/0'), knownRange('0.0.0.0/0')));
});

test('mergePorts: joins what overlaps or touches', (t) => {
  t.deepEqual(
    mergePorts([
      [10, 20],
      [1, 1],
      [15, 30],
      [31, 31],
      [2, 3],
      [5, 6],
      [12, 13],
    ]),
    [
      [1, 3],
      [5, 6],
      [10, 31],
    ],
  );
});

const cut = test.macro({
  exec: (t, cuts: readonly (readonly [number, number])[], want: readonly (readonly [number, number])[]) =>
    t.deepEqual(cutPorts([10, 19], cuts), want),
  title: (_, cuts: readonly (readonly [number, number])[]) => `cutPorts: 10-19 by ${JSON.stringify(cuts)}`,
});
test(cut, [], [[10, 19]]);
test(
  cut,
  [
    [1, 9],
    [20, 30],
    [0, 65535],
    [10, 19],
  ],
  [[10, 19]],
);
test(
  cut,
  [[1, 10]],
  [
    [10, 10],
    [11, 19],
  ],
);
test(
  cut,
  [[19, 20]],
  [
    [10, 18],
    [19, 19],
  ],
);
test(
  cut,
  [
    [12, 15],
    [14, 14],
  ],
  [
    [10, 11],
    [12, 13],
    [14, 14],
    [15, 15],
    [16, 19],
  ],
);
