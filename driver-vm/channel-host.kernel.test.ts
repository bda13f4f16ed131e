import { chmod, chown, mkdir, readdir, readFile, rm, stat } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import { dir } from 'tmp-promise';
import { type Child, start } from '../base/index.ts';
import { Connection, encodeFrame, type HostMessage, initialWindow, parseHostMessage } from '../channel/index.ts';
import { fact, noCounts } from '../e2e/support/channel-facts.ts';
import type { HarnessAnswer, HarnessCommand } from '../e2e/support/channel-harness.ts';
import { incompleteCases } from '../e2e/support/evidence/incomplete.ts';
import { canaryLinks } from '../e2e/support/evidence/links.ts';
import { kernelTest } from '../e2e/support/kernel-tier.ts';
import { schemaAvailable, validateEvent } from '../e2e/support/ocsf-schema.ts';
import { pidsOf } from '../e2e/support/pids.ts';
import { isRequired } from '../e2e/support/tier.ts';
import { until } from '../e2e/support/until.ts';
import { denyAll } from '../policy/index.ts';
import type { RunSummary } from './shared/ipc.ts';

/** Below the uids of sandboxes. */
const channelUid = 1_899_999_992;
const vmmGid = 1_899_999_993;
const tag = 'abcdefghijklmnop';

let folder = '';
let harness: Child;
let guest: Guest | undefined;
const output = { stdout: '', stderr: '' };

/** The end of the channel that a guest has: by the book, or by hand. */
type Guest = {
  readonly socket: Socket;
  readonly connection: Connection;
  readonly messages: HostMessage[];
  readonly input: Buffer[];
  /** What the host says unasked, to whoever connects. */
  readonly first: HostMessage | undefined;
};

test.beforeEach(async () => {
  if (process.geteuid?.() !== 0) return;
  folder = (await dir({ prefix: 'tapwarden-channel-' })).path;
  await chmod(folder, 0o711);
  await mkdir(join(folder, 'sockets'));
  await chown(join(folder, 'sockets'), channelUid, vmmGid);
  await chmod(join(folder, 'sockets'), 0o2750);
  Object.assign(output, { stdout: '', stderr: '' });
  harness = start([process.execPath, 'build/e2e/support/channel-harness.js'], {
    stdio: ['pipe', 'pipe', 'pipe', 'ipc'],
  });
  for (const name of ['stdout', 'stderr'] as const) {
    harness.process[name]?.on('data', (piece: Buffer) => {
      output[name] += piece.toString('latin1');
    });
  }
});
test.afterEach.always(async () => {
  guest?.socket.destroy();
  guest = undefined;
  harness?.process.kill('SIGKILL');
  await harness?.ended;
  await until(() => pidsOf(channelUid).length === 0);
  await rm(folder, { recursive: true, force: true });
});

async function ask(command: HarnessCommand): Promise<HarnessAnswer> {
  return await new Promise((resolve) => {
    harness.process.once('message', (answer) => resolve(answer as HarnessAnswer));
    harness.process.send(command);
  });
}
/** What the privileged side learns: the value, or the code of its error. */
async function learn(command: HarnessCommand): Promise<unknown> {
  const answer = await ask(command);
  return answer.kind === 'value' ? answer.value : answer.code;
}

type Beginning = { readonly full?: boolean; readonly compiled?: false; readonly accelerator?: 'kvm' | 'tcg' };

async function begin({ full = false, compiled, accelerator = 'kvm' }: Beginning = {}): Promise<HarnessAnswer> {
  const context = {
    ocsfVersion: '1.8.0',
    productVersion: '0.1.0',
    logName: 'events.jsonl',
    sandboxId: 'a',
    runId: '0b0e0c1e-3c8e-4f7e-9a55-0d4b5a0d6f11',
    hostname: 'host',
    hypervisor: 'qemu',
    policy: { uid: 'p', name: 'p', version: 'sha256:1' },
  } as const;
  const answer = await ask({
    kind: 'start',
    full,
    uid: channelUid,
    eventsFile: join(folder, 'events.jsonl'),
    config: {
      context,
      accelerator,
      workloadUid: 1000,
      channelSocket: join(folder, 'sockets', 'channel'),
      consoleSocket: join(folder, 'sockets', 'console'),
      fsync: 'interval',
      policy: denyAll,
      tag,
      ...{ direct: [], allowUnlogged: false, canaryMs: 1000, audit: true },
    },
  });
  if (compiled !== false) await learn({ kind: 'send', message: { kind: 'compiled', compiled: null } });
  return answer;
}

async function attach(): Promise<Guest> {
  const socket = connect(join(folder, 'sockets', 'channel'));
  await new Promise((resolve) => socket.once('connect', resolve));
  const messages: HostMessage[] = [];
  const input: Buffer[] = [];
  const connection = new Connection(socket, {
    onMessage: (payload) => messages.push(parseHostMessage(payload)),
    onData: (_exec, _stream, payload) => input.push(payload),
    onClose: () => undefined,
  });
  await until(() => messages.length > 0);
  guest = { socket, connection, messages, input, first: messages.shift() };
  return guest;
}

const hello = { kind: 'hello', version: 2, kernelRelease: '6.1.0', bootMs: 2500 };
const ready = { kind: 'ready', logging: true, marks: true, compiled: true, setupMs: 100 };
const finish = { kind: 'finish', message: { kind: 'finish', reason: 'the end', failed: false, slot: {} } } as const;
const exec = { kind: 'send', message: { kind: 'exec', argv: ['true'], env: {}, workdir: null } } as const;
type Event = { readonly class_uid: number; readonly activity_id: number };
async function events(): Promise<readonly Event[]> {
  const text = await readFile(join(folder, 'events.jsonl'), 'utf8');
  return text.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as Event]));
}

kernelTest('startChannelHost() runs the channel process as a user of its own, without any privilege', async (t) => {
  t.is((await begin()).kind, 'value');
  const [pid, ...more] = pidsOf(channelUid);
  t.deepEqual(more, []);
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  t.regex(status, new RegExp(`\nUid:\t${channelUid}\t${channelUid}\t${channelUid}\t${channelUid}\n`));
  t.regex(status, new RegExp(`\nGid:\t${channelUid}\t${channelUid}\t${channelUid}\t${channelUid}\n`));
  for (const set of ['Inh', 'Prm', 'Eff', 'Bnd', 'Amb']) t.regex(status, new RegExp(`\nCap${set}:\t0+\n`));
  t.regex(status, /\nNoNewPrivs:\t1\n/);
  t.regex(status, /\nGroups:\t *\n/);
  for (const name of ['channel', 'console']) {
    const socket = await stat(join(folder, 'sockets', name));
    t.deepEqual([socket.uid, socket.gid, socket.mode & 0o777], [channelUid, vmmGid, 0o660]);
  }
});

kernelTest('startChannelHost() carries a run by the book: messages, streams, events and counts', async (t) => {
  await begin();
  const { connection, messages, input, first } = await attach();
  t.is(first?.kind, 'wake');
  await connection.send(hello);
  t.like(await learn({ kind: 'next', kinds: ['hello'] }), { kernelRelease: '6.1.0', bootMs: 2500 });
  await until(() => messages.length > 0);
  t.like(messages[0], { kind: 'configure', version: 2, sandbox: 'a', tag, policy: denyAll, allowUnlogged: false });
  await connection.send(ready);
  t.like(await learn({ kind: 'next', kinds: ['ready'] }), { logging: true });
  await learn(exec);
  await until(() => messages.some(({ kind }) => kind === 'exec'));
  t.like(messages[1], { kind: 'exec', exec: 1, argv: ['true'], workdir: null });
  await connection.send({ kind: 'started', exec: 1, pid: 99 });
  t.like(await learn({ kind: 'next', kinds: ['started', 'refused'] }), { kind: 'started' });
  harness.process.stdin?.end('typed\0in');
  await until(() => messages.some(({ kind }) => kind === 'end'));
  t.is(Buffer.concat(input).toString(), 'typed\0in');
  await connection.sendData(1, 1, Buffer.from('out\0\xff', 'latin1'));
  await connection.sendData(1, 2, Buffer.from('error'));
  await connection.send({ kind: 'fact', fact });
  await connection.send({ kind: 'end', exec: 1, stream: 1 });
  await connection.send({ kind: 'end', exec: 1, stream: 2 });
  await connection.send({ kind: 'exited', exec: 1, status: 7, signal: null });
  t.like(await learn({ kind: 'next', kinds: ['exited'] }), { status: 7, signal: null });
  await until(() => output.stdout.length >= 5 && output.stderr.length >= 5);
  t.deepEqual(output, { stdout: 'out\0\xff', stderr: 'error' });
  await learn({ kind: 'send', message: { kind: 'settle' } });
  await until(() => messages.some(({ kind }) => kind === 'settle'));
  await connection.send({ kind: 'counts', counts: { ...noCounts, deniedTcp: 3, logged: 1, unlogged: 2 } });
  t.like(await learn({ kind: 'next', kinds: ['settled'] }), { kind: 'settled' });
  t.like((await learn(finish)) as RunSummary, { allowed: 0, denied: 3, deniedRequests: 0, attempts: 1, lost: 2 });
  const lines = await events();
  t.deepEqual(
    lines.map(({ class_uid, activity_id }) => `${class_uid}:${activity_id}`),
    ['6002:3', '1007:1', '4001:5', '1007:2', '4001:5', '6002:4'],
  );
  const reason = schemaAvailable();
  if (reason === undefined) for (const event of lines) t.deepEqual(validateEvent(event), []);
  else {
    t.log(`not validated: ${reason}`);
    if (isRequired('kernel')) t.fail(reason);
  }
  await until(() => pidsOf(channelUid).length === 0);
  t.deepEqual(pidsOf(channelUid), []);
});

kernelTest('channel process: tells a guest of its run once its rulesets are compiled', async (t) => {
  await begin({ compiled: false, accelerator: 'tcg' });
  const { connection, messages } = await attach();
  await connection.send(hello);
  await learn({ kind: 'next', kinds: ['hello'] });
  t.deepEqual(messages, []);
  const compiled = { guest: 'AAAA', fence: 'AQID' };
  await learn({ kind: 'send', message: { kind: 'compiled', compiled } });
  await until(() => messages.length > 0);
  t.like(messages[0], { kind: 'configure', compiled, emulated: true });
});

kernelTest(
  'channel process: serves the gateway on the socket that it is handed, and records what it refuses',
  async (t) => {
    const answer = await begin();
    const { connection } = await attach();
    await connection.send(hello);
    await connection.send(ready);
    await learn({ kind: 'next', kinds: ['ready'] });
    const client = connect(Number(answer.kind === 'value' ? answer.value : 0), '127.0.0.1');
    client.write('CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n');
    let said = '';
    client.on('data', (piece) => {
      said += piece.toString();
    });
    await until(() => said.includes('\r\n\r\n'));
    t.regex(said, /^HTTP\/1\.1 403 /);
    client.destroy();
    t.like((await learn(finish)) as RunSummary, { allowed: 0, deniedRequests: 1 });
    const denied = (await events()).filter(({ class_uid }) => class_uid === 4002);
    t.is(denied.length, 1);
    t.like(denied[0], {
      activity_id: 1,
      http_response: { code: 403 },
      dst_endpoint: { hostname: 'example.com', port: 443 },
    });
  },
);

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');
const frame = (message: unknown, number: number): Buffer =>
  encodeFrame({ kind: 'message', payload: Buffer.from(JSON.stringify(message)) }, number);
const data = (size: number, number: number): Buffer =>
  encodeFrame({ kind: 'data', exec: 1, stream: 1, payload: Buffer.alloc(size) }, number);
const started = { kind: 'started', exec: 1, pid: 9 };

/** What a guest sends that was taken over, and when: at once, or after its fence stood and a command was asked for. */
const hostile: Readonly<Record<string, readonly ['at once' | 'later', Buffer]>> = {
  'garbage for its first word': ['at once', bytes('\xff\xfe\0\0GET / HTTP/1.1\r\n\r\n')],
  'a frame that claims 4 GiB': ['at once', bytes('\xff\xff\xff\xff\x01\0\0\0\0\0\0\x01')],
  'a frame of another number': ['at once', frame(hello, 2)],
  'a message that is no JSON': ['at once', encodeFrame({ kind: 'message', payload: bytes('{"kind":') }, 1)],
  'JSON of great depth': ['at once', encodeFrame({ kind: 'message', payload: bytes('['.repeat(1_000_000)) }, 1)],
  'another version': ['at once', frame({ ...hello, version: 1 }, 1)],
  'a word out of turn': ['at once', frame(ready, 1)],
  'counts that nobody asked for': ['at once', frame({ kind: 'counts', counts: null }, 1)],
  'output before a command': ['at once', Buffer.concat([frame(hello, 1), data(1, 2)])],
  'its hello again': ['later', frame(hello, 3)],
  'ready again': ['later', frame(ready, 3)],
  'two starts': ['later', Buffer.concat([frame(started, 3), frame(started, 4)])],
  'a start and a refusal': [
    'later',
    Buffer.concat([frame(started, 3), frame({ kind: 'refused', exec: 1, code: 'COMMAND_NOT_FOUND', message: '' }, 4)]),
  ],
  'the end of a command that did not start': ['later', frame({ kind: 'exited', exec: 1, status: 0, signal: null }, 3)],
  'more output than its window': [
    'later',
    Buffer.concat([frame(started, 3), ...Array.from({ length: 8 }, (_, index) => data(initialWindow / 4, 4 + index))]),
  ],
  'output of another command': [
    'later',
    Buffer.concat([frame(started, 3), encodeFrame({ kind: 'data', exec: 2, stream: 1, payload: bytes('x') }, 4)]),
  ],
  'output for standard input': [
    'later',
    Buffer.concat([frame(started, 3), encodeFrame({ kind: 'data', exec: 1, stream: 0, payload: bytes('x') }, 4)]),
  ],
  'a fact that is too long': ['later', frame({ kind: 'fact', fact: { ...fact, raw: 'x'.repeat(1_000_000) } }, 3)],
  'a fact with a key of ours': ['later', frame({ kind: 'fact', fact: { ...fact, metadata: { uid: 'x' } } }, 3)],
};
for (const [what, [when, sent]] of Object.entries(hostile)) {
  kernelTest(
    `channel process: a guest that sends ${what} loses its connection, and the record is closed in order`,
    async (t) => {
      await begin();
      const { socket, connection } = await attach();
      if (when === 'later') {
        await connection.send(hello);
        await learn({ kind: 'next', kinds: ['hello'] });
        await connection.send(ready);
        await learn({ kind: 'next', kinds: ['ready'] });
        // Whoever reads this output does not: the guest's window does not grow.
        harness.process.stdout?.pause();
        await learn(exec);
      }
      const closed = new Promise((resolve) => socket.once('close', resolve));
      socket.write(sent);
      t.is(await learn({ kind: 'next', kinds: ['settled'] }), 'CHANNEL_PROTOCOL');
      await closed;
      t.is(pidsOf(channelUid).length, 1);
      harness.process.stdout?.resume();
      t.like((await learn(finish)) as RunSummary, { denied: 0, attempts: 0 });
      const last = (await events()).at(-1);
      t.like(last, { class_uid: 6002, activity_id: 4 });
    },
  );
}

kernelTest('channel process: hostile text in facts stays text, each fact in one line', async (t) => {
  t.timeout(120_000);
  await begin();
  const { connection } = await attach();
  await connection.send(hello);
  const raw = '\x1b[31m\u202e"},{"time":1,\n\0\ud800'.repeat(20);
  for (let i = 0; i < 2000; i += 1) {
    await connection.send({ kind: 'fact', fact: { ...fact, sequence: i, raw, interfaceOut: '"}\n{"a":1' } });
  }
  await connection.send({ kind: 'fact', fact: { ...fact, source: ':::', destination: '...' } });
  await connection.send(ready);
  t.like(await learn({ kind: 'next', kinds: ['ready'] }), { kind: 'ready' });
  await learn(finish);
  const lines = await events();
  t.is(lines.filter(({ class_uid }) => class_uid === 4001).length, 2000);
  t.deepEqual(
    lines.map((event) => (event as unknown as { metadata: { sequence: number } }).metadata.sequence),
    [...lines.keys()].map((n) => n + 1),
  );
});

kernelTest(
  `channel process: a record is not complete, event-budget: ${incompleteCases['event-budget'].when}`,
  async (t) => {
    await begin();
    const { connection, messages } = await attach();
    await connection.send(hello);
    await connection.send(ready);
    await learn({ kind: 'next', kinds: ['ready'] });
    // No address at all, which costs the host least: so they come faster than the budget grows, on a busy machine too.
    const group = { mark: 0, destination: '...', protocol: 17, port: 9, packets: 2 };
    const [each, facts] = [256, 500];
    const groups = Array.from({ length: each }, () => group);
    for (let at = 0; at < facts; at += 1) {
      await connection.send({ kind: 'fact', fact: { kind: 'denied-packets', sinceMs: 1000, groups } });
    }
    await learn({ kind: 'send', message: { kind: 'settle' } });
    await until(() => messages.some(({ kind }) => kind === 'settle'));
    const packets = 2 * each * facts;
    await connection.send({ kind: 'counts', counts: { ...noCounts, deniedUdp: packets, unlogged: packets } });
    await learn({ kind: 'next', kinds: ['settled'] });
    const { complete, incomplete, denied, lost } = (await learn(finish)) as RunSummary;
    t.deepEqual([complete, denied, lost], [false, packets, packets], 'exact as a sum');
    t.regex(incomplete.join('; '), /^event-budget: \d+ facts were more than one sandbox may tell$/);
    const told = (await events()) as readonly (Event & { readonly count?: number })[];
    t.is(
      told.filter(({ class_uid }) => class_uid === 4001).reduce((sum, { count = 1 }) => sum + count, 0),
      packets,
      'the rest is told of by kind',
    );
  },
);

kernelTest('channel process: a second connection is turned away, and the first lives', async (t) => {
  await begin();
  const first = await attach();
  await first.connection.send(hello);
  await learn({ kind: 'next', kinds: ['hello'] });
  const second = connect(join(folder, 'sockets', 'channel'));
  second.on('error', () => undefined);
  await new Promise((resolve) => second.once('close', resolve));
  await first.connection.send(ready);
  t.like(await learn({ kind: 'next', kinds: ['ready'] }), { kind: 'ready' });
});

kernelTest('channel process: a boot that is given up leaves its console, and the next guest starts anew', async (t) => {
  await begin();
  const first = await attach();
  await first.connection.send(hello);
  await learn({ kind: 'next', kinds: ['hello'] });
  const console = connect(join(folder, 'sockets', 'console'));
  await new Promise<void>((resolve) => console.write('panic: \x1b[2J\n', () => resolve()));
  let text = '';
  for (let i = 0; i < 100 && text === ''; i += 1) {
    await learn({ kind: 'send', message: { kind: 'reset' } });
    text = ((await learn({ kind: 'next', kinds: ['console'] })) as { text: string }).text;
  }
  t.is(text, 'panic: \x1b[2J\n');
  const second = await attach();
  await second.connection.send(hello);
  t.like(await learn({ kind: 'next', kinds: ['hello'] }), { bootMs: 2500 });
  t.notDeepEqual(first.first, second.first, 'each has a seed of its own');
  await until(() => second.messages.length > 0);
  t.like(second.messages[0], { kind: 'configure', compiled: null, emulated: false });
  console.destroy();
  first.socket.destroy();
});

for (const when of ['after its hello', 'in place of its hello'] as const) {
  kernelTest(
    `ChannelHost.next() fails with a guest’s own words ${when}, escaped, and a code only of ours`,
    async (t) => {
      await begin();
      const { connection } = await attach();
      if (when === 'after its hello') await connection.send(hello);
      await connection.send({ kind: 'failed', code: 'EVENTS_UNWRITABLE', message: 'no \x1b[2J nft', hint: 'x\u202e' });
      const answer = await ask({ kind: 'next', kinds: ['ready'] });
      t.like(answer, { kind: 'error', code: 'GUEST_SETUP_FAILED' });
      t.regex(
        answer.kind === 'error' ? answer.message : '',
        /The sandbox is not ready: no \\x1b\[2J nft\nx\\u\{202e\}/,
      );
    },
  );
}

kernelTest('ChannelHost.next() fails with CHANNEL_CLOSED when the guest goes, or the process is killed', async (t) => {
  await begin();
  const { socket } = await attach();
  socket.destroy();
  t.is(await learn({ kind: 'next', kinds: ['hello'] }), 'CHANNEL_CLOSED');
  const [pid] = pidsOf(channelUid);
  process.kill(pid ?? t.fail('there is no channel process'), 'SIGKILL');
  const answer = await ask({ kind: 'next', kinds: ['hello'] });
  t.like(answer, { kind: 'error', code: 'CHANNEL_CLOSED' });
  t.regex(answer.kind === 'error' ? answer.message : '', /ended with SIGKILL/);
  t.is(await learn(finish), 'CHANNEL_CLOSED');
});

kernelTest(
  'channel process: a disk that takes nothing does not end the run, and the end says what is lost',
  async (t) => {
    await begin({ full: true });
    const { connection } = await attach();
    await connection.send(hello);
    await connection.send(ready);
    t.like(await learn({ kind: 'next', kinds: ['ready'] }), { kind: 'ready' });
    let warnings: readonly string[] = [];
    for (let look = 0; look < 100 && warnings.length === 0; look += 1) {
      warnings = (await learn({ kind: 'warnings' })) as readonly string[];
      if (warnings.length === 0) await sleep(20);
    }
    t.is(warnings.length, 1);
    t.regex(warnings[0] ?? '', /^ENOSPC: .*: 1 events of the log wait to be written$/);
    const summary = (await learn(finish)) as RunSummary;
    t.is(summary.unwritten, 2);
    t.false(summary.complete);
    t.regex(summary.incomplete.join('; '), /unwritten: 2 events/);
    t.regex(summary.problem ?? '', /The event log .* cannot be written: ENOSPC/);
  },
);

kernelTest(`channel process: a canary that is missed is a finding, and ${canaryLinks.reported}`, async (t) => {
  await begin();
  const { connection, messages } = await attach();
  await connection.send(hello);
  await connection.send({ kind: 'canary', number: 1, broken: null, packet: null });
  await connection.send(ready);
  await learn({ kind: 'next', kinds: ['ready'] });
  await until(() => messages.some(({ kind }) => kind === 'canary-seen'));
  t.like(
    messages.filter(({ kind }) => kind === 'canary-seen'),
    [{ number: 1 }],
  );
  const findings = async (): Promise<readonly Event[]> => (await events()).filter(({ class_uid: uid }) => uid === 2004);
  await connection.send({ kind: 'canary', number: 2, broken: 'logged', packet: 'udp6' });
  for (let look = 0; look < 100 && (await findings()).length < 1; look += 1) await sleep(20);
  t.deepEqual(
    (await findings()).map(({ activity_id: activity }) => activity),
    [1],
    'at once',
  );
  await connection.send({ kind: 'canary', number: 3, broken: null, packet: null });
  // An interval of a second, and five of grace.
  const silentSince = performance.now();
  for (let look = 0; look < 200 && (await findings()).length < 3; look += 1) await sleep(50);
  t.true(performance.now() - silentSince < 8000);
  type Finding = { readonly unmapped: { readonly canary: object } };
  t.deepEqual(
    (await findings()).map((event) => [event.activity_id, (event as unknown as Finding).unmapped.canary]),
    [
      [1, { link: 'logged', packet: 'udp6', missed: 1 }],
      [3, { link: 'logged', packet: 'udp6', missed: 1 }],
      [1, { link: 'reported', missed: 1 }],
    ],
  );
  const summary = (await learn(finish)) as RunSummary;
  t.deepEqual(summary.incomplete, ["canary: missed 2 times, first because of the link 'logged'"]);
});

kernelTest('channel process: ends when the privileged process is gone', async (t) => {
  await begin();
  t.is(pidsOf(channelUid).length, 1);
  harness.process.kill('SIGKILL');
  await until(() => pidsOf(channelUid).length === 0);
  t.deepEqual(pidsOf(channelUid), []);
  t.true((await readdir(folder)).includes('events.jsonl'));
});
