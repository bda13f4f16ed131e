import { chmod, chown, mkdir, readdir, rm, stat } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import { dir } from 'tmp-promise';
import { type Child, start } from '../base/index.ts';
import { Connection } from '../channel/index.ts';
import { fact } from '../e2e/support/channel-facts.ts';
import type { HarnessAnswer, HarnessCommand } from '../e2e/support/channel-harness.ts';
import { kernelTest } from '../e2e/support/kernel-tier.ts';
import { pidsOf } from '../e2e/support/pids.ts';
import { seeded } from '../e2e/support/seeded.ts';
import { until } from '../e2e/support/until.ts';
import { readLog } from '../ocsf/index.ts';
import { denyAll } from '../policy/index.ts';
import { openEventsFile } from './events-file.ts';
import type { RunSummary } from './shared/ipc.ts';

/** Below the uids of sandboxes, and of no other test. */
const channelUid = 1_899_999_988;
const vmmGid = 1_899_999_989;

let folder = '';
let harness: Child | undefined;
let socket: Socket | undefined;

test.beforeEach(async () => {
  if (process.geteuid?.() !== 0) return;
  folder = (await dir({ prefix: 'tapwarden-rotation-' })).path;
  await chmod(folder, 0o711);
});
test.afterEach.always(async () => {
  await stop();
  await rm(folder, { recursive: true, force: true });
});

/** Ends the privileged side of a run, and waits until the channel process has ended too. */
async function stop(): Promise<void> {
  socket?.destroy();
  harness?.process.kill('SIGKILL');
  await harness?.ended;
  await until(() => pidsOf(channelUid).length === 0);
}

async function ask(command: HarnessCommand): Promise<unknown> {
  const answer = await new Promise<HarnessAnswer>((resolve) => {
    harness?.process.once('message', (message) => resolve(message as HarnessAnswer));
    harness?.process.send(command);
  });
  return answer.kind === 'value' ? answer.value : answer.message;
}

/** Begins a run, plays its guest until it is ready, and returns the guest's end of the channel. */
async function begin(maxBytes: number): Promise<Connection> {
  const sockets = join(folder, 'sockets');
  await rm(sockets, { recursive: true, force: true });
  await mkdir(sockets);
  await chown(sockets, channelUid, vmmGid);
  await chmod(sockets, 0o2750);
  harness = start([process.execPath, 'build/e2e/support/channel-harness.js'], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  await ask({
    kind: 'start',
    uid: channelUid,
    eventsFile: join(folder, 'events.jsonl'),
    maxBytes,
    config: {
      context: {
        ocsfVersion: '1.8.0',
        productVersion: '0.1.0',
        logName: 'events.jsonl',
        sandboxId: 'a',
        runId: '0b0e0c1e-3c8e-4f7e-9a55-0d4b5a0d6f11',
        hostname: 'host',
        hypervisor: 'qemu',
        policy: { uid: 'p', name: 'p', version: 'sha256:1' },
      },
      accelerator: 'tcg',
      workloadUid: 1000,
      channelSocket: join(sockets, 'channel'),
      consoleSocket: join(sockets, 'console'),
      fsync: 'interval',
      policy: denyAll,
      direct: [],
      tag: 'abcdefghijklmnop',
      allowUnlogged: false,
      canaryMs: 3_600_000,
      audit: true,
    },
  });
  await ask({ kind: 'send', message: { kind: 'compiled', compiled: null } });
  const guest = connect(join(sockets, 'channel'));
  socket = guest;
  await new Promise((resolve) => guest.once('connect', resolve));
  const nothing = () => undefined;
  const connection = new Connection(guest, { onMessage: nothing, onData: nothing, onClose: nothing });
  await connection.send({ kind: 'hello', version: 2, kernelRelease: '6.1.0', bootMs: 2500 });
  await connection.send({ kind: 'ready', logging: true, marks: true, compiled: true, setupMs: 100 });
  await ask({ kind: 'next', kinds: ['ready'] });
  return connection;
}

type Sequenced = { readonly metadata: { readonly sequence: number } };

/** The sequence numbers in the log, over its files, as a reader finds them. */
async function sequences(): Promise<readonly unknown[]> {
  const found: unknown[] = [];
  for await (const piece of readLog(join(folder, 'events.jsonl'))) {
    if (piece.kind === 'notice') found.push(piece.message);
    else for (const line of piece.lines) found.push(line.kind === 'line' ? sequenceIn(line.bytes) : line.kind);
  }
  return found;
}
const sequenceIn = (bytes: Buffer): number => (JSON.parse(bytes.toString()) as Sequenced).metadata.sequence;

kernelTest('channel process: the log is rotated under its hands, and no event is missing or told twice', async (t) => {
  const connection = await begin(5000);
  for (let round = 1; round <= 12; round += 1) {
    for (let number = 0; number < 5; number += 1) await connection.send({ kind: 'fact', fact });
    // The first event is that of the start. A round that finds the file too large has it rotated.
    for (let last = 0; last < 1 + 5 * round; last = Number((await sequences()).at(-1))) await sleep(5);
  }
  const { unwritten, problem } = (await ask({
    kind: 'finish',
    message: { kind: 'finish', reason: 'the end', failed: false, slot: {} },
  })) as RunSummary;
  t.deepEqual({ unwritten, problem }, { unwritten: 0, problem: null });
  t.deepEqual(await ask({ kind: 'warnings' }), []);
  const found = await sequences();
  t.deepEqual(
    found,
    [...found.keys()].map((index) => index + Number(found[0])),
  );
  t.is(found.at(-1), 62);
  const names = (await readdir(folder)).filter((name) => name.startsWith('events.jsonl'));
  t.true(names.filter((name) => /\.\d{12}$/.test(name)).length >= 3, names.join(' '));
  for (const name of names.filter((found) => !found.endsWith('.next'))) {
    const file = await stat(join(folder, name));
    t.deepEqual([file.uid, file.gid, file.mode & 0o777], [0, 0, 0o600], name);
  }
  const handOver = await stat(join(folder, 'events.jsonl.next'));
  t.deepEqual([handOver.uid, handOver.gid, handOver.mode & 0o777], [0, channelUid, 0o710]);
});

for (const victim of ['the channel process', 'the privileged process'] as const) {
  kernelTest(`channel process: the log is whole when ${victim} is killed in the midst of rotations`, async (t) => {
    t.timeout(120_000);
    const random = seeded(victim.length);
    let last = 0;
    for (let kill = 0; kill < 6; kill += 1) {
      const connection = await begin(10_000);
      const sending = (async () => {
        for (let number = 0; number < 400; number += 1) await connection.send({ kind: 'fact', fact });
      })().catch(() => undefined);
      await sleep(20 + random() * 150);
      const [pid] = pidsOf(channelUid);
      if (victim === 'the channel process') process.kill(pid ?? t.fail('there is no channel process'), 'SIGKILL');
      else harness?.process.kill('SIGKILL');
      await until(() => pidsOf(channelUid).length === 0);
      await stop();
      await sending;
      const found = (await sequences()).filter((word) => word !== 'unfinished');
      t.deepEqual(
        found,
        [...found.keys()].map((index) => index + Number(found[0])),
        `kill ${kill}`,
      );
      t.true(Number(found.at(-1)) > last);
      last = Number(found.at(-1));
    }
    const events = await openEventsFile(join(folder, 'events.jsonl'));
    t.true(events.nextSequence > last);
    await events.close();
    const names = (await readdir(folder)).filter((name) => !/^events\.jsonl(\.\d+|\.torn-.*)?$|^sockets$/.test(name));
    t.deepEqual(names, []);
  });
}
