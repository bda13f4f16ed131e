import test from 'ava';
import { TapwardenError } from '../base/errors.ts';
import { checkAddress, type ForbiddenRange } from './check-address.ts';
import { denyAll } from './model.ts';
import { parsePolicy } from './parse.ts';

const hostAddresses = ['127.0.0.1', '203.0.113.7', '2001:db8:7::7', '::ffff:203.0.113.8', 'fe80::7%eth0'];

const check = (address: string, listed: readonly string[] = [], port = 443) => {
  const rules = listed.map((text, index) => `- {name: r${index}, addresses: ["${text}"], ports: [443]}\n`);
  const policy = listed.length === 0 ? denyAll : parsePolicy(`version: 1\nrules:\n${rules.join('')}`, { file: 'p' });
  const decision = checkAddress(policy, { address, port, hostAddresses });
  return decision.kind === 'allow' ? `allow ${decision.address}` : decision.range;
};

const forbidden: Readonly<Record<ForbiddenRange, readonly string[]>> = {
  loopback: [
    ...['127.0.0.0', '127.0.0.1', '127.255.255.255', '::1', '0:0:0:0:0:0:0:1', '::ffff:127.0.0.1', '::ffff:7f00:1'],
    ...[
      '::127.0.0.1',
      '64:ff9b::127.0.0.1',
      '64:ff9b::7f00:1',
      '64:ff9b:1::7f00:1',
      '2002:7f00:1::',
      '2002:7f00:1:5::9',
    ],
    ...['::ffff:0:127.0.0.1', '2001:0:7f00:1::', '2001:0:808:808::80ff:fffe', '2001:db8::5efe:127.0.0.1'],
    ...['2001:db8::200:5efe:7f00:1', 'fe80::5efe:127.0.0.1'],
  ],
  unspecified: ['0.0.0.0', '0.1.2.3', '0.255.255.255', '::', '::ffff:0.0.0.0', '::0.1.2.3', '2002::1', '64:ff9b::'],
  'link-local': [
    '169.254.0.0',
    '169.254.169.254',
    'fe80::1',
    'febf:ffff::',
    '::ffff:169.254.169.254',
    '2002:a9fe:a9fe::',
  ],
  private: [
    '10.0.0.0',
    '10.255.255.255',
    '172.16.0.0',
    '172.31.255.255',
    '192.168.0.0',
    '192.168.255.255',
    '64:ff9b::10.1.2.3',
  ],
  'unique-local': ['fc00::', 'fd00:ec2::254', 'fdff:ffff::1'],
  shared: ['100.64.0.0', '100.100.100.200', '100.127.255.255', '2002:6440:1::'],
  multicast: ['224.0.0.1', '239.255.255.255', 'ff00::', 'ff02::1', 'ff0e::1'],
  broadcast: ['255.255.255.255', '::ffff:255.255.255.255'],
  reserved: [
    '240.0.0.0',
    '255.255.255.254',
    '::8.8.8.8',
    '100:1::',
    '4000::',
    '5f00::1',
    '8000::',
    'fe00::1',
    '1fff::',
  ],
  benchmarking: ['198.18.0.0', '198.19.255.255', '2001:2::1'],
  discard: ['100::', '100::ffff:ffff:ffff:ffff'],
  'ietf-protocol': ['192.0.0.0', '192.0.0.192', '192.0.0.255'],
  'site-local': ['fec0::1', 'feff::1'],
  'nat64-local': ['64:ff9b:1::808:808'],
  metadata: ['168.63.129.16', '::ffff:168.63.129.16', '64:ff9b::168.63.129.16'],
  host: [
    ...[
      '203.0.113.7',
      '203.0.113.8',
      '2001:db8:7::7',
      '2001:0DB8:7:0::7',
      '::ffff:203.0.113.7',
      '64:ff9b::203.0.113.7',
    ],
    ...['2002:cb00:7107::1', '2001:db8::5efe:203.0.113.8'],
  ],
  malformed: [
    ...['', 'pypi.org', '127.1', '0x7f.0.0.1', '010.0.0.1', '2130706433', '8.8.8.8.', '[2001:db8::1]', 'fe80::1%eth0'],
    ...['8.8.8.8%1', '8.8.8.8/32', ' 8.8.8.8', '8.8.8.8\0', '8.8.8.8\n', 'x'.repeat(10_000), '::ffff:256.0.0.1'],
  ],
};
for (const [range, addresses] of Object.entries(forbidden)) {
  test(`checkAddress: refuses ${range}`, (t) => {
    for (const address of addresses) t.is(check(address), range, address);
  });
}

test('checkAddress: allows public addresses, in canonical form', (t) => {
  for (const [address, canonical] of [
    ['8.8.8.8', '8.8.8.8'],
    ['::ffff:8.8.8.8', '8.8.8.8'],
    ['2606:4700:0:0::1111', '2606:4700::1111'],
    ['64:ff9b::8.8.8.8', '64:ff9b::808:808'],
    ['2002:808:808::1', '2002:808:808::1'],
    ['2001:0:808:808::f7f7:f7f7', '2001:0:808:808::f7f7:f7f7'],
    ['2001:db8::5efe:8.8.8.8', '2001:db8::5efe:808:808'],
    ...['1.0.0.0', '9.255.255.255', '11.0.0.0', '100.63.255.255', '100.128.0.0', '126.255.255.255', '128.0.0.0'],
    ...[
      '168.63.129.15',
      '169.253.255.255',
      '169.255.0.0',
      '172.15.255.255',
      '172.32.0.0',
      '191.255.255.255',
      '192.0.1.0',
    ],
    ...['192.0.2.1', '198.51.100.1', '203.0.113.6', '192.167.255.255', '192.169.0.0', '198.17.255.255', '198.20.0.0'],
    ...['223.255.255.255', '2001:db8::1', '2000::', '3fff:ffff::', '2001:1::1', '2001:3::1', '2003::1'],
  ].map((entry) => (typeof entry === 'string' ? [entry, entry] : entry))) {
    t.is(check(address ?? ''), `allow ${canonical}`, address);
  }
});

const opened = test.macro({
  exec: (t, address: string, listed: readonly string[], want: string) => t.is(check(address, listed), want),
  title: (_, address: string, listed: readonly string[], want: string) =>
    `checkAddress: with ${listed.join(', ')} in addresses, ${address} gives ${want}`,
});
test(opened, '10.1.2.3', ['10.1.2.0/24'], 'allow 10.1.2.3');
test(opened, '10.1.2.3', ['10.0.0.0/8'], 'allow 10.1.2.3');
test(opened, '10.1.3.3', ['10.1.2.0/24'], 'private');
test(opened, '::ffff:10.1.2.3', ['10.1.2.3'], 'allow 10.1.2.3');
test(opened, '64:ff9b::10.1.2.3', ['10.1.2.3'], 'allow 64:ff9b::a01:203');
test(opened, '64:ff9b::10.1.2.3', ['64:ff9b::a01:203'], 'allow 64:ff9b::a01:203');
test(opened, '64:ff9b::10.1.2.3', ['64:ff9b::a01:200/120'], 'allow 64:ff9b::a01:203');
test(opened, '64:ff9b::10.1.2.3', ['64:ff9b::/96'], 'private');
test(opened, '2002:a01:203::1', ['10.1.2.0/24'], 'allow 2002:a01:203::1');
test(opened, '2002:a01:203::1', ['2002:a01::/32'], 'allow 2002:a01:203::1');
test(opened, '2002:a01:203::1', ['2002::/16'], 'private');
test(opened, '64:ff9b:1::a01:203', ['10.1.2.3'], 'nat64-local');
test(opened, '64:ff9b:1::a01:203', ['10.1.2.3', '64:ff9b:1::/48'], 'allow 64:ff9b:1::a01:203');
test(opened, '64:ff9b:1::a01:203', ['64:ff9b:1::/48'], 'private');
test(opened, '127.0.0.1', ['127.0.0.1'], 'allow 127.0.0.1');
test(opened, '127.0.0.1', ['127.0.0.0/8'], 'allow 127.0.0.1');
test(opened, '::1', ['::1'], 'allow ::1');
test(opened, '127.0.0.1', ['0.0.0.0/0'], 'loopback');
test(opened, '10.1.2.3', ['0.0.0.0/0'], 'private');
test(opened, '10.1.2.3', ['8.0.0.0/6'], 'private');
test(opened, 'fd00::1', ['::/0'], 'unique-local');
test(opened, 'fd00::1', ['8000::/1'], 'unique-local');
test(opened, 'fd00::1', ['fd00::/8'], 'allow fd00::1');
test(opened, '203.0.113.7', ['203.0.113.7'], 'allow 203.0.113.7');
test(opened, '203.0.113.7', ['203.0.113.0/24'], 'host');
test(opened, '203.0.113.7', ['0.0.0.0/0'], 'host');
test(opened, '2002:cb00:7107::1', ['203.0.113.7'], 'allow 2002:cb00:7107::1');
test(opened, '255.255.255.255', ['240.0.0.0/4'], 'broadcast');
test(opened, '8.8.8.8', ['10.0.0.0/8'], 'allow 8.8.8.8');

test('checkAddress: opens for the ports of the rule alone, and for no direct rule', (t) => {
  t.is(check('10.1.2.3', ['10.1.2.3'], 444), 'private');
  const direct = parsePolicy('version: 1\nrules: [{name: a, addresses: [10.1.2.3], ports: [443], via: direct}]', {
    file: 'p',
  });
  t.is(checkAddress(direct, { address: '10.1.2.3', port: 443, hostAddresses: [] }).kind, 'deny');
});

test('checkAddress: an address of the host that is private needs to be named itself', (t) => {
  const policy = parsePolicy('version: 1\nrules: [{name: a, addresses: [10.1.2.0/24], ports: [443]}]', { file: 'p' });
  const at = (address: string) => checkAddress(policy, { address, port: 443, hostAddresses: ['10.1.2.5'] });
  t.is(at('10.1.2.6').kind, 'allow');
  t.like(at('10.1.2.5'), { kind: 'deny', range: 'host' });
});

test('checkAddress: says what was refused and what to add', (t) => {
  t.deepEqual(checkAddress(denyAll, { address: '64:ff9b::a01:203', port: 443, hostAddresses: [] }), {
    kind: 'deny',
    code: 'ADDRESS_FORBIDDEN',
    reason: '64:ff9b::a01:203 stands for 10.1.2.3 (NAT64), which is a private address (RFC 1918)',
    hint: `If that is meant, add a rule with 'addresses: ["10.1.2.3"]' and 'ports: [443]'.`,
    range: 'private',
  });
});

test('checkAddress: refuses host addresses that are none', (t) => {
  t.throws(() => checkAddress(denyAll, { address: '8.8.8.8', port: 1, hostAddresses: ['eth0'] }), {
    instanceOf: TapwardenError,
    code: 'NAME_INVALID',
  });
});
