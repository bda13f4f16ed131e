import test from 'ava';
import { TapwardenError } from '../base/errors.ts';
import { contains, knownRange } from './address.ts';
import { compileDirect, type DirectEntry, hasDirect } from './compile-direct.ts';
import { denyAll } from './model.ts';
import { parsePolicy } from './parse.ts';

const policyOf = (...rules: readonly string[]) =>
  parsePolicy(`version: 1\nrules:\n${rules.map((rule) => `- {${rule}}\n`).join('')}`, { file: 'p' });

const shown = ({ rule, protocol, cidr, ports }: DirectEntry) =>
  `${rule} ${protocol} ${cidr} ${ports === null ? 'all' : ports.join('-')}`;

const compile = test.macro({
  exec: (t, rules: readonly string[], exclude: readonly string[], want: readonly string[]) => {
    const { v4, v6 } = compileDirect(policyOf(...rules), { exclude });
    t.deepEqual([...v4, ...v6].map(shown), want);
    t.true(v4.every(({ cidr }) => !cidr.includes(':')) && v6.every(({ cidr }) => cidr.includes(':')));
  },
  title: (title) => `compileDirect: ${title}`,
});

const ntp = 'name: ntp, addresses: [192.0.2.10, "2001:db8::1"], ports: [123], protocol: udp, via: direct';
test(
  'one entry an address and family',
  compile,
  [ntp],
  [],
  ['ntp 17 192.0.2.10/32 123-123', 'ntp 17 2001:db8::1/128 123-123'],
);
test('no proxied rule', compile, ['name: a, addresses: [192.0.2.10], ports: [1]'], [], []);
test(
  'every protocol by its IANA number',
  compile,
  ['tcp', 'udp', 'udplite', 'sctp'].map(
    (p) => `name: ${p}, addresses: [192.0.2.1], ports: [7], protocol: ${p}, via: direct`,
  ),
  [],
  ['tcp 6 192.0.2.1/32 7-7', 'udp 17 192.0.2.1/32 7-7', 'udplite 136 192.0.2.1/32 7-7', 'sctp 132 192.0.2.1/32 7-7'],
);
test(
  'no ports for ICMP',
  compile,
  [
    'name: four, addresses: [192.0.2.1], protocol: icmp, via: direct',
    'name: six, addresses: ["2001:db8::1"], protocol: icmpv6, via: direct',
  ],
  [],
  ['four 1 192.0.2.1/32 all', 'six 58 2001:db8::1/128 all'],
);
test(
  'addresses and ports of a rule are merged',
  compile,
  ['name: a, addresses: [192.0.2.129, 192.0.2.128/25, 192.0.2.0/25, 192.0.2.0/24], ports: [2, 1, "2-5"], via: direct'],
  [],
  ['a 6 192.0.2.0/24 1-5'],
);
test(
  'excluded addresses are subtracted',
  compile,
  ['name: a, addresses: [192.0.2.0/24], ports: [1], via: direct'],
  ['192.0.2.0', '192.0.2.128/25', '198.51.100.1', '2001:db8::/32'],
  [1, 2, 4, 8, 16, 32, 64].map((n) => `a 6 192.0.2.${n}/${32 - Math.log2(n)} 1-1`),
);
test('a rule that is excluded as a whole gives nothing', compile, [ntp], ['192.0.0.0/16', '2001:db8::/64'], []);
test(
  'a private range that is named stays',
  compile,
  ['name: a, addresses: [10.0.0.0/8], ports: [1], via: direct'],
  [],
  ['a 6 10.0.0.0/8 1-1'],
);
test(
  'a range that merely contains special ranges is opened around them',
  compile,
  ['name: a, addresses: [192.168.0.0/15], ports: [1], via: direct'],
  [],
  ['a 6 192.169.0.0/16 1-1'],
);
test(
  'the same destination is named by the first rule alone',
  compile,
  [
    'name: a, addresses: [192.0.2.0/31], ports: [5], via: direct',
    'name: b, addresses: [192.0.2.0/30], ports: ["4-6"], via: direct',
    'name: c, addresses: [192.0.2.0/30], ports: [5], via: direct',
  ],
  [],
  ['a 6 192.0.2.0/31 5-5', 'b 6 192.0.2.0/30 4-4', 'b 6 192.0.2.2/31 5-5', 'b 6 192.0.2.0/30 6-6'],
);

test('compileDirect: 0.0.0.0/0 and ::/0 open public addresses only', (t) => {
  const policy = policyOf('name: all, addresses: [0.0.0.0/0, "::/0"], ports: [1], via: direct');
  const { v4, v6 } = compileDirect(policy, { exclude: ['203.0.113.7'] });
  const covers = (address: string) =>
    [...v4, ...v6].some(({ cidr }) => contains(knownRange(cidr), knownRange(address)));
  for (const address of ['8.8.8.8', '192.0.2.1', '172.15.255.255', '172.32.0.0', '2606:4700::1', '203.0.113.6']) {
    t.true(covers(address), address);
  }
  for (const address of [
    ...[
      '0.0.0.1',
      '10.1.2.3',
      '100.64.0.1',
      '127.0.0.1',
      '168.63.129.16',
      '169.254.169.254',
      '172.16.0.1',
      '192.0.0.1',
    ],
    ...[
      '192.168.1.1',
      '198.18.0.1',
      '224.0.0.1',
      '240.0.0.1',
      '255.255.255.255',
      '203.0.113.7',
      '::1',
      '::',
      'fe80::1',
    ],
    ...['fc00::1', 'ff02::1', 'fec0::1', '64:ff9b::1', '64:ff9b:1::1', '2002::1', '2001::1', '100::1', '4000::1'],
  ]) {
    t.false(covers(address), address);
  }
});

test('compileDirect: the entries of a set are disjoint and cover what the rules allow', (t) => {
  let state = 5;
  const next = (below: number) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 8) % below;
  };
  const cidr = () => {
    const prefix = 28 + next(5);
    const size = 2 ** (32 - prefix);
    return `192.0.2.${Math.floor(next(16) / size) * size}/${prefix}`;
  };
  const ports = () => {
    const from = 1 + next(6);
    return `"${from}-${from + next(3)}"`;
  };
  for (let round = 0; round < 150; round += 1) {
    const rules = Array.from(
      { length: 1 + next(4) },
      (_, i) => `name: r${i}, addresses: [${cidr()}, ${cidr()}], ports: [${ports()}, ${ports()}], via: direct`,
    );
    const exclude = [cidr()];
    const policy = policyOf(...rules);
    const { v4 } = compileDirect(policy, { exclude });
    const boxes = v4.map((entry) => ({ entry, range: knownRange(entry.cidr) }));
    for (let last = 0; last < 16; last += 1) {
      const address = knownRange(`192.0.2.${last}/32`);
      for (let port = 1; port < 10; port += 1) {
        const hits = boxes.filter(
          ({ entry, range }) =>
            contains(range, address) && entry.ports !== null && entry.ports[0] <= port && port <= entry.ports[1],
        );
        const wanted = exclude.some((text) => contains(knownRange(text), address))
          ? undefined
          : policy.rules.find(
              (rule) =>
                rule.addresses.some((text) => contains(knownRange(text), address)) &&
                rule.ports.some(([from, to]) => from <= port && port <= to),
            );
        if (hits.length !== (wanted === undefined ? 0 : 1) || hits[0]?.entry.rule !== wanted?.name) {
          t.fail(`192.0.2.${last}:${port} has ${hits.map((hit) => shown(hit.entry)).join()} in ${rules.join('; ')}`);
        }
      }
    }
  }
  t.pass();
});

test('compileDirect: the largest policy compiles in bounded time', (t) => {
  const list = Array.from({ length: 999 }, (_, i) => `"2400:${i.toString(16)}::${(i * 61).toString(16)}"`);
  const policy = policyOf(
    `name: one, addresses: [${list.join(', ')}], ports: [5], via: direct`,
    'name: two, addresses: ["2000::/3"], ports: [5], via: direct',
    'name: three, addresses: ["2000::/4", "3000::/4"], ports: ["1-9"], via: direct',
  );
  const begin = performance.now();
  const { v6 } = compileDirect(policy, { exclude: [] });
  t.true(v6.length > 999);
  t.true(performance.now() - begin < 20_000, `${performance.now() - begin} ms`);
});

test('compileDirect: refuses an exclusion that is not an address', (t) => {
  t.throws(() => compileDirect(denyAll, { exclude: ['10.0.0.1/8'] }), {
    instanceOf: TapwardenError,
    code: 'NAME_INVALID',
  });
});

test('hasDirect: says whether a direct rule is there', (t) => {
  t.true(hasDirect(policyOf(ntp)));
  t.false(hasDirect(policyOf('name: a, hosts: [a], ports: [1]')));
  t.false(hasDirect(denyAll));
});
