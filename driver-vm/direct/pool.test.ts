import test from 'ava';
import { isTapwardenError } from '../../base/index.ts';
import { knownRange } from '../../policy/index.ts';
import { choosePair, defaultPool, poolOf, type UsedRange } from './pool.ts';

const used = (...cidrs: readonly string[]): readonly UsedRange[] =>
  cidrs.map((cidr) => ({ range: knownRange(cidr), by: 'eth0' }));

test('poolOf: without variables it is the default', (t) => {
  t.deepEqual(poolOf({}), defaultPool);
});

test('poolOf: the variables are networks', (t) => {
  t.deepEqual(poolOf({ TAPWARDEN_POOL4: '10.99.0.0/16', TAPWARDEN_POOL6: 'fd12:0::/64' }), {
    cidr4: '10.99.0.0/16',
    cidr6: 'fd12::/64',
  });
});

for (const [text, problem] of [
  ['10.99.0.1/16', /host bits set/],
  ['10.99.0.0', /no room for two pairs/],
  ['10.99.0.0/31', /no room for two pairs/],
  ['fd12::/64', /is not an IPv4 network/],
  ['eth0', /is not an IP address or CIDR/],
  ['', /is not an IP address or CIDR/],
  ['127.0.0.0/16', /overlaps 127\.0\.0\.0\/8/],
  ['0.0.0.0/0', /overlaps 0\.0\.0\.0\/8/],
  ['224.0.0.0/8', /overlaps 224\.0\.0\.0\/3/],
  ['10.0.0.0/16', /overlaps 10\.0\.128\.0\/30/],
  ['10.0.0.0/16\n\x1b[31m', / 10\.0\.0\.0\/16\\n\\x1b\[31m has a bad prefix length/],
] as const) {
  test(`poolOf: TAPWARDEN_POOL4=${JSON.stringify(text)} is refused`, (t) => {
    const error = t.throws(() => poolOf({ TAPWARDEN_POOL4: text }));
    t.true(isTapwardenError(error, 'USAGE_INVALID'), String(error));
    t.regex(error?.message ?? '', /^TAPWARDEN_POOL4 must be a network for the links of direct rules: /);
    t.regex(error?.message ?? '', problem);
  });
}

test('poolOf: TAPWARDEN_POOL6 refuses IPv4, link-local addresses and the network inside of slots', (t) => {
  for (const text of ['10.99.0.0/16', 'fe80::/64', 'ff00::/16', '::/0', 'fd74:7761:7264::/64']) {
    t.true(
      isTapwardenError(
        t.throws(() => poolOf({ TAPWARDEN_POOL6: text })),
        'USAGE_INVALID',
      ),
      text,
    );
  }
});

for (const [title, pool, inUse, host] of [
  ['the first of an empty pool', '100.64.0.0/10', [], '100.64.0.0'],
  ['the next one', '100.64.0.0/10', ['100.64.0.0/31'], '100.64.0.2'],
  ['a gap', '100.64.0.0/10', ['100.64.0.0/31', '100.64.0.4/31'], '100.64.0.2'],
  ['in any order', '100.64.0.0/10', ['100.64.0.2/31', '100.64.0.0/31'], '100.64.0.4'],
  [
    'with the addresses of the links beside the routes',
    '100.64.0.0/10',
    ['100.64.0.1/32', '100.64.0.0/31'],
    '100.64.0.2',
  ],
  ['half a pair in use is in use', '100.64.0.0/10', ['100.64.0.3/32', '100.64.0.1/32'], '100.64.0.4'],
  ['behind a network', '100.64.0.0/10', ['100.64.0.0/16'], '100.65.0.0'],
  ['behind networks that hold each other', '100.64.0.0/10', ['100.64.0.0/16', '100.64.1.0/24'], '100.65.0.0'],
  ['before a network', '100.64.0.0/10', ['100.96.0.0/11'], '100.64.0.0'],
  ['beside what is elsewhere', '100.64.0.0/10', ['10.0.0.0/8', 'fd00::/8', '100.0.0.0/10'], '100.64.0.0'],
  ['the last', '10.99.0.0/30', ['10.99.0.0/31'], '10.99.0.2'],
  ['of IPv6 the second', 'fd12::/64', [], 'fd12::2'],
  ['of IPv6 the next', 'fd12::/64', ['fd12::2/127', 'fd12::3/128'], 'fd12::4'],
] as const) {
  test(`choosePair: ${title}`, (t) => {
    const pair = choosePair(pool, used(...inUse));
    t.is(pair.host, host);
    t.is(pair.prefix, pool.includes(':') ? 127 : 31);
    t.is(knownRange(pair.slot).base, knownRange(pair.host).base + 1n);
  });
}

for (const [title, pool, inUse] of [
  ['all pairs are given out', '10.99.0.0/30', ['10.99.0.0/31', '10.99.0.2/31']],
  ['a network covers it', '100.64.0.0/10', ['100.64.0.0/10']],
  ['a wider network covers it', '100.64.0.0/10', ['100.0.0.0/8']],
  ['the host has an address in each pair', '10.99.0.0/30', ['10.99.0.1/32', '10.99.0.2/32']],
] as const) {
  test(`choosePair: POOL_EXHAUSTED when ${title}`, (t) => {
    const error = t.throws(() => choosePair(pool, used(...inUse)));
    t.true(isTapwardenError(error, 'POOL_EXHAUSTED'), String(error));
    t.true(error?.message.includes(`the host uses ${inUse[0]} (eth0)`), error?.message);
    t.true(error?.message.includes('TAPWARDEN_POOL4='), error?.message);
  });
}

test('choosePair: pairs are given out one after the other, beside ten thousand too', (t) => {
  const pairs = new Set<string>();
  const taken: UsedRange[] = [];
  for (let count = 0; count < 300; count += 1) {
    const { host, prefix } = choosePair('100.64.0.0/10', taken);
    pairs.add(host);
    taken.push({ range: knownRange(`${host}/${prefix}`), by: `twv${count}` });
  }
  t.is(pairs.size, 300);
  const many = Array.from({ length: 10_000 }, (_, at) => ({
    range: { bits: 32 as const, base: knownRange('100.64.0.0/31').base + BigInt(2 * at), prefix: 31 },
    by: 'twv',
  }));
  t.is(choosePair('100.64.0.0/10', many).host, '100.64.78.32');
});
