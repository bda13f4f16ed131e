import test from 'ava';
import type { TapwardenError } from '../base/index.ts';
import { fact } from '../e2e/support/channel-facts.ts';
import { mutate, seeded } from '../e2e/support/seeded.ts';
import { type GuestMessage, type HostMessage, parseGuestMessage, parseHostMessage } from './messages.ts';

const sender = { pid: 812, uid: 1000, binary: '/usr/bin/perl', arguments: ['perl', '-e', '1'], ageMs: 3 } as const;
const origin = {
  method: 'audit',
  confidence: 'low',
  reason: 'mark-disagrees',
  exec: 2,
  process: sender,
  ancestors: [{ ...sender, uid: null, binary: null, arguments: [], ageMs: null }],
  candidates: [],
  conflict: { markExec: 1, auditExec: 2 },
} as const;
const packet = {
  ...fact,
  ...{ destination: '2001:db8::1', protocol: 17, destinationPort: 53, length: 65_575, tcpFlags: null },
  ...{ uid: 4_294_967_295, gid: 0, raw: 'IN= OUT=eth0 …' },
} as const;
const request = {
  kind: 'denied-request',
  method: 'CONNECT',
  host: 'example.com',
  port: 443,
  path: null,
  client: { address: '10.200.0.2', port: 40_000 },
  code: 'HOST_NOT_ALLOWED',
  reason: 'no rule',
  hint: 'add one',
} as const;
const counts = {
  deniedTcp: 1,
  deniedUdp: 2,
  deniedOther: 3,
  logged: 4,
  unlogged: 2,
  direct: 0,
  overflow: 1,
  portsFull: true,
  unread: 0,
  unknown: ['the table was made anew'],
  auditLoss: '12 audit records were never read',
};
const group = { mark: 1, destination: '2001:db8::1', protocol: 17, port: 53, packets: 2 ** 50 };
const many = {
  kind: 'denied-packets',
  sinceMs: 1000,
  groups: [group, { ...group, mark: 0, protocol: 253, port: null, packets: 1 }],
} as const;

const host: readonly HostMessage[] = [
  {
    kind: 'configure',
    version: 2,
    sandbox: 'a',
    tag: 'abcdefgh',
    time: 1_790_000_000_123,
    policy: { version: 1, rules: [] },
    direct: [{ rule: 'ntp', protocol: 17, cidr: '192.0.2.10/32', ports: [123, 123] }],
    allowUnlogged: false,
    emulated: true,
    compiled: { guest: 'AAAA', fence: 'AQIDBA==' },
    canaryMs: 30_000,
    audit: true,
  },
  { kind: 'wake', seed: Buffer.alloc(64, 7).toString('base64') },
  { kind: 'exec', exec: 1, argv: ['sh', '-c', 'a\nb'], env: { A: '1' }, workdir: null },
  { kind: 'signal', exec: 1, signal: 15 },
  { kind: 'end', exec: 1, stream: 0 },
  { kind: 'window', exec: 1, stream: 1, bytes: 131_072 },
  { kind: 'canary-seen', number: 1 },
  { kind: 'settle' },
];
const guest: readonly GuestMessage[] = [
  { kind: 'hello', version: 2, kernelRelease: '6.1.0', bootMs: 2500 },
  { kind: 'ready', logging: true, marks: true, compiled: true, setupMs: 100 },
  { kind: 'failed', code: 'NFT_MISSING', message: 'no nft', hint: null },
  { kind: 'started', exec: 1, pid: 99 },
  { kind: 'refused', exec: 1, code: 'COMMAND_NOT_FOUND', message: 'x' },
  { kind: 'exited', exec: 1, status: null, signal: 9 },
  { kind: 'end', exec: 1, stream: 2 },
  { kind: 'window', exec: 1, stream: 0, bytes: 1 },
  { kind: 'fact', fact: packet },
  { kind: 'fact', fact: { ...packet, icmp: { type: 8, code: 0 }, sourcePort: null, destinationPort: null } },
  { kind: 'fact', fact: { ...packet, origin } },
  { kind: 'fact', fact: many },
  { kind: 'fact', fact: request },
  { kind: 'fact', fact: { kind: 'gap', missing: 3, first: 5, last: 7 } },
  {
    kind: 'fact',
    fact: { kind: 'ruleset-changed', where: 'fence', difference: ['+ rule'], differences: 1, restoredMs: null },
  },
  { kind: 'fact', fact: { kind: 'restart', last: 9, next: 10, downMs: 3 } },
  { kind: 'fact', fact: { kind: 'forged-lines', by: 'program', lines: 100 } },
  { kind: 'canary', number: 1, broken: null, packet: null },
  { kind: 'canary', number: 2, broken: 'logged', packet: 'udp6' },
  { kind: 'counts', counts },
  { kind: 'counts', counts: null },
];

const bytes = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));

for (const message of host) {
  test(`parseHostMessage() takes ${JSON.stringify(message).slice(0, 60)}`, (t) => {
    t.deepEqual(parseHostMessage(bytes(message)), message);
  });
}
for (const [index, message] of guest.entries()) {
  test(`parseGuestMessage() takes message ${index}, ${JSON.stringify(message).slice(0, 50)}`, (t) => {
    t.deepEqual(parseGuestMessage(bytes(message)), message);
  });
}

const withFact = (changes: object) => ({ kind: 'fact', fact: { ...packet, ...changes } });
const withOrigin = (changes: object) => withFact({ origin: { ...origin, ...changes } });
const hostile: readonly (readonly [string, unknown, string])[] = [
  ['a list', [], '$.kind'],
  ['null', null, '$.kind'],
  ['an unknown kind', { kind: 'shutdown' }, '$.kind'],
  ['a message of the host', host[1], '$.kind'],
  [
    'a canary with words of its own',
    { kind: 'canary', number: 1, broken: 'nothing, trust me', packet: null },
    '$.broken',
  ],
  ['an extra key', { kind: 'ready', logging: true, setupMs: 1, root: true }, '$.root'],
  ['a negative count', { kind: 'counts', counts: { ...counts, logged: -1 } }, '$.counts.logged'],
  ['a count of 2^53', { kind: 'counts', counts: { ...counts, logged: 2 ** 53 } }, '$.counts.logged'],
  [
    'a count whose sum would be no whole number',
    { kind: 'counts', counts: { ...counts, deniedTcp: 2 ** 52 } },
    '$.counts.deniedTcp',
  ],
  ['a fraction', { kind: 'started', exec: 1, pid: 1.5 }, '$.pid'],
  ['exec 0', { kind: 'started', exec: 0, pid: 1 }, '$.exec'],
  ['exec 65536', { kind: 'started', exec: 65_536, pid: 1 }, '$.exec'],
  ['status 256', { kind: 'exited', exec: 1, status: 256, signal: null }, '$.status'],
  ['signal 0', { kind: 'exited', exec: 1, status: null, signal: 0 }, '$.signal'],
  ['stream 3', { kind: 'end', exec: 1, stream: 3 }, '$.stream'],
  ['an unknown refusal', { kind: 'refused', exec: 1, code: 'BUG', message: '' }, '$.code'],
  ['a code in small letters', { kind: 'failed', code: 'nft', message: '', hint: null }, '$.code'],
  ['a message of 8193 characters', { kind: 'failed', code: 'A', message: 'x'.repeat(8193), hint: null }, '$.message'],
  [
    'a release of 65 characters',
    { kind: 'hello', version: 2, kernelRelease: 'x'.repeat(65), bootMs: 1 },
    '$.kernelRelease',
  ],
  ['a fact of an unknown kind', { kind: 'fact', fact: { kind: 'finding' } }, '$.fact.kind'],
  ['a fact with the host’s time', withFact({ time: 1 }), '$.fact.time'],
  ['an address with a zone', withFact({ source: 'fe80::1%eth0' }), '$.fact.source'],
  ['an address with a newline', withFact({ destination: '10.0.0.1\n' }), '$.fact.destination'],
  ['a port of 65536', withFact({ destinationPort: 65_536 }), '$.fact.destinationPort'],
  ['an origin of another method', withOrigin({ method: 'guess' }), '$.fact.origin.method'],
  ['an origin that is sure beyond words', withOrigin({ confidence: 'certain' }), '$.fact.origin.confidence'],
  ['a process 0', withOrigin({ process: { ...sender, pid: 0 } }), '$.fact.origin.process.pid'],
  [
    'a path of 4201 characters',
    withOrigin({ process: { ...sender, binary: 'x'.repeat(4201) } }),
    '$.fact.origin.process.binary',
  ],
  [
    '257 arguments',
    withOrigin({ process: { ...sender, arguments: Array(257).fill('') } }),
    '$.fact.origin.process.arguments',
  ],
  ['a negative age', withOrigin({ process: { ...sender, ageMs: -1 } }), '$.fact.origin.process.ageMs'],
  ['nine ancestors', withOrigin({ ancestors: Array(9).fill(sender) }), '$.fact.origin.ancestors'],
  ['nine candidates', withOrigin({ candidates: Array(9).fill(sender) }), '$.fact.origin.candidates'],
  ['half a conflict', withOrigin({ conflict: { markExec: 1 } }), '$.fact.origin.conflict.auditExec'],
  ['a raw line of 1025 characters', withFact({ raw: 'x'.repeat(1025) }), '$.fact.raw'],
  ['a time that is a number', withFact({ monotonic: 12.345678 }), '$.fact.monotonic'],
  ['a host of 256 characters', { kind: 'fact', fact: { ...request, host: 'x'.repeat(256) } }, '$.fact.host'],
  [
    'a client with more keys',
    { kind: 'fact', fact: { ...request, client: { address: '', port: 0, a: 1 } } },
    '$.fact.client.a',
  ],
  [
    'a changed ruleset of the host',
    {
      kind: 'fact',
      fact: { kind: 'ruleset-changed', where: 'slot', difference: [], differences: 0, restoredMs: 1 },
    },
    '$.fact.where',
  ],
  ['forged lines of the host', { kind: 'fact', fact: { kind: 'forged-lines', by: 'host', lines: 1 } }, '$.fact.by'],
  ['no forged lines', { kind: 'fact', fact: { kind: 'forged-lines', by: 'rule', lines: 0 } }, '$.fact.lines'],
  ['a gap of none', { kind: 'fact', fact: { kind: 'gap', missing: 0, first: 1, last: 1 } }, '$.fact.missing'],
];
for (const [what, message, path] of hostile) {
  test(`parseGuestMessage() refuses ${what} and says where`, (t) => {
    const error = t.throws<TapwardenError>(() => parseGuestMessage(bytes(message)), { code: 'CHANNEL_PROTOCOL' });
    t.is(error?.details['path'], path);
    t.true((error?.message.length ?? 0) < 1000);
  });
}

test('parseGuestMessage() refuses what is no JSON, and keys that reach for prototypes', (t) => {
  for (const text of ['', '{', '\0', '\xff\xfe', 'NaN', '{"kind":"settle"}', '['.repeat(100_000)]) {
    t.throws(() => parseGuestMessage(Buffer.from(text, 'latin1')), { code: 'CHANNEL_PROTOCOL' });
  }
  const polluted = '{"kind":"ready","logging":true,"setupMs":1,"__proto__":{"logging":false}}';
  t.throws(() => parseGuestMessage(Buffer.from(polluted)), { code: 'CHANNEL_PROTOCOL' });
});

test('parseGuestMessage() and parseHostMessage() throw nothing but CHANNEL_PROTOCOL, whatever bytes were changed', (t) => {
  const random = seeded(7);
  const texts = [...host, ...guest].map((message) => JSON.stringify(message));
  let refused = 0;
  for (let i = 0; i < 20_000; i += 1) {
    const text = Buffer.from(mutate(random, texts[i % texts.length] ?? ''), 'latin1');
    for (const parse of [parseGuestMessage, parseHostMessage]) {
      try {
        parse(text);
      } catch (error) {
        refused += 1;
        if ((error as { code?: string }).code !== 'CHANNEL_PROTOCOL') t.fail(`${text}: ${error}`);
      }
    }
  }
  t.true(refused > 10_000);
});
