import { chmod, copyFile, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { dir } from 'tmp-promise';
import { isCase } from '../../e2e/support/attribution-cases.ts';
import {
  type AttributionWorld,
  makeAttributionWorld,
  type Told,
  uidOfExec,
} from '../../e2e/support/attribution-world.ts';
import { kernelTest } from '../../e2e/support/kernel-tier.ts';

let world: AttributionWorld;
let audit: string | undefined;
test.before(async () => {
  if (process.geteuid?.() !== 0) return;
  world = await makeAttributionWorld();
  audit = world.attribution.obstacle;
});
test.after.always(async () => await world?.close());

/** A test of what audit finds; where the kernel's audit cannot be used it says why. */
function auditTest(title: string, body: (t: ExecutionContext) => Promise<void>): void {
  kernelTest(title, async (t) => {
    if (audit === undefined) return await body(t);
    t.log(`skipped: the kernel's audit system cannot be used: ${audit}`);
    if ((process.env['REQUIRE'] ?? '').split(',').includes('audit')) t.fail(audit);
    else t.pass();
  });
}

const script = fileURLToPath(new URL('../../../supervisor/testdata/attempt.pl', import.meta.url));
const handOver = fileURLToPath(new URL('../../../supervisor/testdata/hand-over.pl', import.meta.url));
const perl = '/usr/bin/perl';
const attempt = (...args: readonly (string | number)[]): readonly [string, ...string[]] => [
  perl,
  script,
  ...args.map(String),
];

let port = 4000;
/** A port that no other attempt of these tests goes to. */
const freshPort = (): number => {
  port += 1;
  return port;
};
const target = '198.51.100.7';

async function toldOf(destination: string, wanted: number | null): Promise<readonly Told[]> {
  return (await world.settle()).filter(
    ({ fact }) => fact.destination === destination && (wanted === null || fact.destinationPort === wanted),
  );
}

for (const [kind, address] of [
  ['tcp', target],
  ['tcp', '2001:db8::7'],
  ['tcp-nonblocking', target],
  ['sendto', target],
  ['sendto', '2001:db8::7'],
  ['sendmsg', target],
  ['sendmmsg', target],
  ['udplite', target],
] as const) {
  auditTest(`${kind} to ${address} of a process that is gone: audit names it, confidence high`, async (t) => {
    const to = freshPort();
    const { pid } = await world.run(1, attempt(kind, address, to));
    const told = await toldOf(address, to);
    t.true(told.length > 0);
    for (const { origin } of told) {
      isCase(t, origin, 'addressed');
      t.is(origin.exec, 1);
      t.is(origin.process?.pid, pid);
      t.is(origin.process?.binary, perl);
      t.is(origin.process?.uid, uidOfExec(1));
      t.deepEqual(origin.process?.arguments, attempt(kind, address, to));
    }
  });
}

for (const kind of ['send', 'write', 'writev'] as const) {
  auditTest(`${kind} on a connected socket: audit names the process, confidence medium`, async (t) => {
    const to = freshPort();
    const { pid } = await world.run(1, attempt(kind, target, to));
    const [one] = await toldOf(target, to);
    t.is(one?.origin.process?.pid, pid);
    isCase(t, one?.origin, 'connected');
  });
}

auditTest(
  'an echo request: audit names the process of IPv4; of IPv6 the call succeeds, and only the exec is known',
  async (t) => {
    await world.scratch.run(['sh', '-c', 'echo "0 2147483647" >/proc/sys/net/ipv4/ping_group_range']);
    const { pid } = await world.run(2, attempt('ping', '198.51.100.8', 0));
    const [one] = await toldOf('198.51.100.8', null);
    t.is(one?.origin.process?.pid, pid);
    isCase(t, one?.origin, 'addressed');
    await world.run(2, attempt('ping', '2001:db8::8', 0));
    const [other] = await toldOf('2001:db8::8', null);
    isCase(t, other?.origin, 'unrecorded');
    t.is(other?.origin.exec, 2);
    t.is(other?.origin.process, null);
  },
);

/** Starts processes that wait for a word, gives it to all at once, and answers with pid by source port. */
async function atOnce(
  attempts: readonly { readonly exec: number; readonly argv: readonly [string, ...string[]] }[],
): Promise<ReadonlyMap<number, number>> {
  const children = attempts.map(({ exec, argv }) => world.start(exec, argv));
  const outputs = children.map(async ({ process }) => {
    let text = '';
    for await (const piece of process.stdout ?? []) text += String(piece);
    return text;
  });
  // Each is at its wait by then. Those that are not start later, which is a case as well.
  await new Promise((resolve) => setTimeout(resolve, 300));
  for (const { process } of children) process.stdin?.end('go\n');
  const lines = await Promise.all(outputs);
  return new Map(
    lines.map((line) => {
      const [pid, from] = line.split(' ').map(Number);
      return [from ?? 0, pid ?? 0];
    }),
  );
}

auditTest('several processes to one destination at once: each is right, or said to be unknown', async (t) => {
  const to = freshPort();
  const ports = Array.from({ length: 8 }, (_, index) => 20_000 + index);
  const truth = await atOnce(ports.map((source) => ({ exec: 1, argv: attempt('sendto', target, to, source, 'wait') })));
  const told = await toldOf(target, to);
  t.is(told.length, 8);
  for (const { fact, origin } of told) {
    const pid = truth.get(fact.sourcePort ?? 0) ?? 0;
    if (origin.process !== null) {
      t.is(origin.process.pid, pid);
      continue;
    }
    isCase(t, origin, 'atOnce');
    t.true(origin.candidates.some((candidate) => candidate.pid === pid));
  }
  t.log(told.map(({ origin }) => origin.process?.pid ?? `${origin.reason}: ${origin.candidates.length}`).join(', '));
});

auditTest(
  'processes that write to connected sockets at once: where each is connected to tells them apart',
  async (t) => {
    const ports = Array.from({ length: 6 }, (_, index) => 23_000 + index);
    const goals = new Map(ports.map((source) => [source, freshPort()]));
    const argv = (source: number) => attempt('write', target, goals.get(source) ?? 0, source, 'wait');
    const truth = await atOnce(ports.map((source) => ({ exec: 1, argv: argv(source) })));
    for (const source of ports) {
      const [one, ...more] = await toldOf(target, goals.get(source) ?? 0);
      t.is(more.length, 0);
      t.is(one?.origin.process?.pid, truth.get(source));
      isCase(t, one?.origin, 'connected');
    }
  },
);

auditTest('several execs to one destination at once: the mark tells them apart', async (t) => {
  const to = freshPort();
  const argv = (source: number) => attempt('sendto', target, to, source, 'wait');
  const truth = await atOnce([1, 2, 3].map((exec) => ({ exec, argv: argv(21_000 + exec) })));
  const told = await toldOf(target, to);
  t.is(told.length, 3);
  for (const { fact, origin } of told) {
    t.is(origin.process?.pid, truth.get(fact.sourcePort ?? 0));
    t.is(origin.exec, fact.mark);
  }
});

auditTest('two sockets on one port: audit tells whose packet it was', async (t) => {
  const [one, other] = [freshPort(), freshPort()];
  const holder = world.start(1, attempt('sendto', target, one, 22_000, 'stay'));
  const sent = new Promise((resolve) => holder.process.stdout?.once('data', resolve));
  const { pid } = await world.run(1, attempt('sendto', target, other, 22_000));
  await sent;
  const [first] = await toldOf(target, one);
  const [second] = await toldOf(target, other);
  holder.process.stdin?.end();
  await holder.ended;
  t.is(first?.fact.sourcePort, 22_000);
  t.is(second?.fact.sourcePort, 22_000);
  t.is(first?.origin.process?.pid, holder.process.pid);
  t.is(second?.origin.process?.pid, pid);
});

auditTest('a process that executes another program afterwards: the program is that of the attempt', async (t) => {
  const to = freshPort();
  const child = world.start(1, attempt('tcp-nonblocking', target, to, 0, 'exec=/bin/sleep'));
  await new Promise((resolve) => child.process.stdout?.once('data', resolve));
  const [one] = await toldOf(target, to);
  child.process.kill('SIGKILL');
  await child.ended;
  t.is(one?.origin.process?.pid, child.process.pid);
  t.is(one?.origin.process?.binary, perl);
  t.is(one?.origin.process?.arguments[0], perl);
});

auditTest('a second thread: its process is named', async (t) => {
  const to = freshPort();
  const { pid } = await world.run(1, attempt('sendto', target, to, 0, 'thread'));
  const [one] = await toldOf(target, to);
  t.is(one?.origin.process?.pid, pid);
});

auditTest('a program that was deleted or renamed: as the kernel names it', async (t) => {
  const { path, cleanup } = await dir({ unsafeCleanup: true });
  t.teardown(cleanup);
  await chmod(path, 0o777);
  for (const [action, binary] of [
    ['delete', `${path}/delete (deleted)`],
    [`rename=${path}/new name`, `${path}/new name`],
  ] as const) {
    const copy = join(path, action.replace(/=.*/, ''));
    await copyFile(perl, copy);
    await chmod(copy, 0o755);
    const to = freshPort();
    const { pid } = await world.run(1, [copy, ...attempt('sendto', target, to, 0, action).slice(1)]);
    const [one] = await toldOf(target, to);
    t.is(one?.origin.process?.pid, pid);
    t.is(one?.origin.process?.binary, binary);
  }
});

auditTest('a socket that was handed to another exec: both are said, confidence low', async (t) => {
  const { path, cleanup } = await dir({ unsafeCleanup: true });
  t.teardown(cleanup);
  await chmod(path, 0o777);
  const to = freshPort();
  const local = join(path, 'socket');
  const giver = world.start(1, [perl, handOver, 'give', local]);
  await new Promise((resolve) => giver.process.stdout?.once('data', resolve));
  const { pid } = await world.run(2, [perl, handOver, 'take', local, target, String(to)]);
  giver.process.stdin?.end();
  await giver.ended;
  const [one] = await toldOf(target, to);
  t.is(one?.fact.mark, 1);
  t.is(one?.origin.process?.pid, pid);
  isCase(t, one?.origin, 'handedOn');
  t.deepEqual(one?.origin.conflict, { markExec: 1, auditExec: 2 });
});

auditTest('the ancestors of a process that is gone are those who started it', async (t) => {
  const to = freshPort();
  const inner = `/bin/sh -c 'perl "$@" & wait' inner "$@" & wait`;
  await world.run(1, ['/bin/sh', '-c', inner, 'outer', ...attempt('sendto', target, to).slice(1)]);
  const [one] = await toldOf(target, to);
  t.deepEqual(
    one?.origin.ancestors.map(({ binary, arguments: argv }) => [
      binary?.split('/').at(-1),
      argv.includes('inner'),
      argv.includes('outer'),
    ]),
    [
      ['dash', true, false],
      ['dash', false, true],
    ],
  );
  t.true((one?.origin.process?.ageMs ?? -1) >= 0);
  t.true((one?.origin.process?.ageMs ?? 1e9) < 10_000);
});

auditTest('nothing is lost of this, and at the end the audit system is as it was', async (t) => {
  t.deepEqual(await world.attribution.takeLoss(), { missing: 0, overrun: false, disturbed: false });
  t.regex(await readFile('/proc/sys/net/core/rmem_max', 'utf8'), /^\d+\n$/);
});
