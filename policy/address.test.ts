import { isIP } from 'node:net';
import test from 'ava';
import { formatAddress, formatRange, formatShortest, knownRange, parseAddress, parseAddressRange } from './address.ts';

const canonical = (text: string) => {
  const address = parseAddress(text);
  return address === undefined ? undefined : formatAddress(address);
};

test('parseAddress: reads the strict forms', (t) => {
  for (const [text, want] of [
    ['0.0.0.0', '0.0.0.0'],
    ['255.255.255.255', '255.255.255.255'],
    ['::', '::'],
    ['1::', '1::'],
    ['2001:DB8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'],
    ['ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'],
    ['::8.8.8.8', '::808:808'],
    ['64:ff9b::8.8.8.8', '64:ff9b::808:808'],
    ['::ffff:0:8.8.8.8', '::ffff:0:808:808'],
  ]) {
    t.is(canonical(text ?? ''), want, text);
  }
  t.is(parseAddress('::ffff:8.8.8.8')?.base, 0xffff_0808_0808n);
  t.is(parseAddress('::8.8.8.8')?.base, 0x0808_0808n);
});

test('parseAddress: agrees with the URL parser on every form of IPv6', (t) => {
  let state = 11;
  const next = (below: number) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 8) % below;
  };
  const group = () => (next(2) === 0 ? '0' : next(65_536).toString(16));
  let seen = 0;
  for (let round = 0; round < 3000; round += 1) {
    const groups = Array.from({ length: 1 + next(8) }, group);
    if (next(3) === 0) groups.splice(next(groups.length), 1, '');
    if (next(3) === 0) groups.push([next(256), next(256), next(256), next(256)].join('.'));
    const text = (next(3) === 0 ? ':' : '') + groups.join(':').replace(/^:|:$/, '::');
    if (isIP(text) !== 6) continue;
    seen += 1;
    const viaUrl = new URL(`http://[${text}]/`).hostname.slice(1, -1);
    t.is(parseAddress(text)?.base, parseAddress(viaUrl)?.base, text);
    t.is(parseAddress(canonical(text) ?? '')?.base, parseAddress(text)?.base, text);
  }
  t.true(seen > 300, String(seen));
});

test('parseAddress: refuses every other form', (t) => {
  for (const text of [
    ...[
      '',
      '127.1',
      '1.2.3',
      '1.2.3.4.5',
      '0x7f.0.0.1',
      '010.0.0.1',
      '01.2.3.4',
      '2130706433',
      '1.2.3.4 ',
      '1.2.3.256',
      '1.2.3.4/32',
    ],
    ...[
      'fe80::1%eth0',
      '[::1]',
      ':::',
      '1:2:3:4:5:6:7',
      '1:2:3:4:5:6:7:8:9',
      '::12345',
      '::1.2.3',
      '::0x1',
      '1::2::3',
      '::010.1.1.1',
    ],
    ...['1.2.3.4\n', '١.٢.٣.٤', '1'.repeat(100_000)],
  ]) {
    t.is(parseAddress(text), undefined, text.slice(0, 50));
  }
});

test('parseAddressRange: gives the network and its length', (t) => {
  t.deepEqual(parseAddressRange('10.1.2.0/24'), { kind: 'ok', value: { bits: 32, base: 0x0a01_0200n, prefix: 24 } });
  t.deepEqual(parseAddressRange('10.1.2.0'), { kind: 'ok', value: { bits: 32, base: 0x0a01_0200n, prefix: 32 } });
  t.deepEqual(parseAddressRange('::/0'), { kind: 'ok', value: { bits: 128, base: 0n, prefix: 0 } });
});

test('formatRange, formatShortest: write what knownRange reads', (t) => {
  for (const text of [
    '0.0.0.0/0',
    '10.1.2.0/24',
    '192.0.2.1/32',
    '::/0',
    '2001:db8::/32',
    '2001:db8::1/128',
    '::/128',
  ]) {
    t.is(formatRange(knownRange(text)), text);
    t.is(
      formatShortest(knownRange(text)),
      text.replace(/\/(32|128)$/, (all) => (all === '/32' && text.includes(':') ? all : '')),
    );
  }
});

test('knownRange: refuses what was never checked', (t) => {
  t.throws(() => knownRange('10.0.0.1/8'), { code: 'POLICY_INVALID' });
});
