import { readFileSync } from 'node:fs';
import test from 'ava';
import { parseGuestMessage } from '../channel/index.ts';
import { matchesGolden } from '../e2e/support/golden.ts';
import { mutate, seeded } from '../e2e/support/seeded.ts';
import { encodeLogPrefix } from '../nft/index.ts';
import { parseKernelLogRecord } from './kernel-log-record.ts';
import { deniedPacketFact } from './monitor.ts';
import { parseNetfilterLogLine } from './netfilter-log-line.ts';

const tag = 'corpus22corpus22';
/** Records of a real kernel, 6.18, as fence.kernel.test.ts makes them with UPDATE_GOLDEN=1. */
const records = readFileSync('supervisor/testdata/netfilter.log', 'utf8').trimEnd().split('\n');

const factOf = (line: string) => {
  const record = parseKernelLogRecord(line);
  if (record === undefined || record.facility !== 0) return undefined;
  return deniedPacketFact(record.text, tag, record.sequence, record.microseconds);
};

test('deniedPacketFact() reads every record of the corpus', (t) => {
  t.true(records.length >= 25);
  const facts = records.map(factOf);
  t.false(facts.includes(undefined));
  matchesGolden(t, 'supervisor/testdata/netfilter.log-expected.json', `${JSON.stringify(facts, undefined, 2)}\n`);
  // And what the guest makes of a record is what the host takes.
  for (const fact of facts) t.notThrows(() => parseGuestMessage(Buffer.from(JSON.stringify({ kind: 'fact', fact }))));
});

const tcp =
  'IN= OUT=eth0 SRC=10.200.0.2 DST=198.51.100.1 LEN=60 TOS=0x00 PREC=0x00 TTL=64 ID=5 DF PROTO=TCP SPT=46148 DPT=80 WINDOW=64240 RES=0x00 SYN URGP=0 UID=1000 GID=1000 MARK=0x2a ';
const udp6 =
  'IN= OUT=eth0 SRC=fd74:7761:776f:0000:0000:0000:0000:0002 DST=2001:0db8:0000:0000:0000:0000:0000:0001 LEN=53 TC=0 HOPLIMIT=64 FLOWLBL=0 PROTO=UDP SPT=43741 DPT=53 LEN=13 ';

test('parseNetfilterLogLine() reads a line with and without what is optional', (t) => {
  const packet = {
    interfaceOut: 'eth0',
    source: '10.200.0.2',
    destination: '198.51.100.1',
    length: 60,
    protocol: 6,
    sourcePort: 46_148,
    destinationPort: 80,
    icmp: null,
    tcpFlags: 2,
    uid: 1000,
    gid: 1000,
    mark: 42,
  };
  t.deepEqual(parseNetfilterLogLine(tcp), packet);
  t.deepEqual(parseNetfilterLogLine(tcp.replace('MARK=0x2a ', '')), { ...packet, mark: null });
  t.deepEqual(parseNetfilterLogLine(tcp.replace('UID=1000 GID=1000 ', '')), { ...packet, uid: null, gid: null });
  t.is(parseNetfilterLogLine(tcp.replace('SYN', 'CWR ECE URG ACK PSH RST SYN FIN'))?.tcpFlags, 255);
  t.is(parseNetfilterLogLine(tcp.replace('RES=0x00 SYN', 'RES=0x00'))?.tcpFlags, 0);
  t.deepEqual(parseNetfilterLogLine(udp6)?.destination, '2001:db8::1');
});

const forged: Readonly<Record<string, string>> = {
  'a line with something before': ` ${tcp}`,
  'a line with a word behind': `${tcp}EVIL=1`,
  'a line with a second owner': tcp.replace('UID=1000', 'UID=0 GID=0 UID=1000'),
  'a line with words in another order': tcp.replace('SPT=46148 DPT=80', 'DPT=80 SPT=46148'),
  'flags in another order': tcp.replace('SYN', 'FIN SYN'),
  'a flag twice': tcp.replace('SYN', 'SYN SYN'),
  'a packet that came in': tcp.replace('IN= ', 'IN=eth0 '),
  'a packet with a hardware address': tcp.replace('SRC=', 'MAC=02:74:77 SRC='),
  'an interface name that is too long': tcp.replace('eth0', 'e'.repeat(16)),
  'an interface name with an escape': tcp.replace('eth0', 'e\x1b[0'),
  'a port of 65536': tcp.replace('DPT=80', 'DPT=65536'),
  'an address with a byte of 256': tcp.replace('198.51.100.1', '198.51.100.256'),
  'an address with a leading zero': tcp.replace('198.51.100.1', '198.051.100.1'),
  'an address of three bytes': tcp.replace('198.51.100.1', '198.51.100'),
  'a short IPv6 address': udp6.replace('2001:0db8:0000:0000:0000:0000:0000:0001', '2001:db8::1'),
  'a user of 2^32': tcp.replace('UID=1000', 'UID=4294967296'),
  'a user without a group': tcp.replace('GID=1000 ', ''),
  'a mark of nine digits': tcp.replace('0x2a', '0x123456789'),
  'a mark in capitals': tcp.replace('0x2a', '0x2A'),
  'a length of 65536': tcp.replace('LEN=60', 'LEN=65536'),
  'an IPv6 length of 65576': udp6.replace('LEN=53', 'LEN=65576'),
  'a protocol of 256': tcp.replace(/PROTO=.*/, 'PROTO=256 '),
  'a protocol by a name of its own': tcp.replace('PROTO=TCP', 'PROTO=EVIL'),
  'a protocol named like a method': tcp.replace(/PROTO=.*/, 'PROTO=toString '),
  'TCP without ports': tcp.replace(/SPT=.*/, ''),
  'an ICMP type of 256': tcp.replace(/PROTO=.*/, 'PROTO=ICMP TYPE=256 CODE=0 '),
  'a line of two lines': `${tcp}\n${tcp}`,
  'an empty line': '',
};
for (const [what, line] of Object.entries(forged)) {
  test(`parseNetfilterLogLine() refuses ${what}`, (t) => {
    t.is(parseNetfilterLogLine(line), undefined);
  });
}

test('deniedPacketFact() takes a line with the prefix at its very start, and of this run', (t) => {
  const prefix = encodeLogPrefix({ tag });
  t.truthy(deniedPacketFact(prefix + tcp, tag, 1, 1));
  t.is(deniedPacketFact(` ${prefix}${tcp}`, tag, 1, 1), undefined);
  t.is(deniedPacketFact(`audit: ${prefix}${tcp}`, tag, 1, 1), undefined);
  t.is(deniedPacketFact(prefix + tcp, 'another2another2', 1, 1), undefined);
  t.is(deniedPacketFact(encodeLogPrefix({ tag: 'another2another2' }) + prefix + tcp, tag, 1, 1), undefined);
});

test('deniedPacketFact() takes no line of a program that is named like the prefix and crashes', (t) => {
  // What the kernel prints at facility 0 of a program named `TW1 corpus22cor`: its name is cut at 15 bytes.
  for (const name of ['TW1 corpus22cor', `TW1 ${tag} deny `]) {
    const text = `${name}[4242]: segfault at 0 ip 000055d0c0ffee00 sp 00007ffc0ffee000 error 4 in x[55d0c0fee000+1000]`;
    t.is(factOf(`6,1,1,-;${text}`), undefined);
  }
});

test('deniedPacketFact() is not asked for a perfect line that a program wrote to the log', (t) => {
  const perfect = records[0]?.replace(/^6,/, '14,') ?? '';
  t.is(parseKernelLogRecord(perfect)?.facility, 1);
  t.is(factOf(perfect), undefined);
});

test('parseNetfilterLogLine() never throws and is fast, whatever bytes were changed', (t) => {
  const random = seeded(4);
  const begun = Date.now();
  let taken = 0;
  for (let i = 0; i < 40_000; i += 1) {
    const line = mutate(random, records[i % records.length] ?? '');
    const fact = factOf(line);
    if (fact === undefined) continue;
    taken += 1;
    // What passes all the same is a packet that the host takes, and not its end.
    parseGuestMessage(Buffer.from(JSON.stringify({ kind: 'fact', fact })));
  }
  t.true(taken > 0 && taken < 30_000);
  t.true(Date.now() - begun < 20_000);
});

test('parseNetfilterLogLine() is fast on long lines that nearly match', (t) => {
  const begun = Date.now();
  for (const piece of ['SYN ', 'MF ', '0', 'UID=1 GID=1 ', 'INCOMPLETE [1 bytes] ', ' ']) {
    const near = tcp.replace('SYN ', piece.repeat(20_000));
    t.is(parseNetfilterLogLine(near), undefined);
    t.is(parseNetfilterLogLine(tcp + piece.repeat(20_000)), undefined);
  }
  t.true(Date.now() - begun < 2000);
});
