import { readdir, readFile, rm, stat, truncate } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { run } from '../base/index.ts';
import { pathsOf, prepareMachine } from '../driver-vm/index.ts';
import { namespaces } from './support/namespaces.ts';
import { until } from './support/until.ts';
import { type Bench, vmTest } from './support/vm-test.ts';

const { stateDir } = pathsOf(process.env);
const store = join(stateDir, 'images', 'snapshot');

/** What a guest's kernel made up, and what it thinks the time is; one a line. */
const made = [
  'cat /proc/sys/kernel/random/uuid /proc/sys/kernel/random/boot_id',
  `python3 -c '
import os, random, socket, time
print(os.urandom(16).hex())
print(random.SystemRandom().getrandbits(64))
s = socket.socket()
s.bind(("", 0))
print(time.time())'`,
  'head -n 1 /proc/self/maps',
].join('\n');

const isEmulated = async (): Promise<boolean> =>
  (await prepareMachine({ stateDir, run, onProgress: () => undefined })).accelerator.accelerator === 'tcg';

/** The state that was used last. */
async function newestState(): Promise<string> {
  const names = (await readdir(store)).filter((name) => /^[0-9a-f]+$/.test(name));
  const used = await Promise.all(names.map(async (name) => ({ name, ms: (await stat(join(store, name))).mtimeMs })));
  const [last] = used.toSorted((a, b) => b.ms - a.ms);
  return join(store, last?.name ?? 'none', 'state');
}

/** A run, with its timings. */
async function timed(bench: Bench, args: readonly string[]) {
  const timings = join(bench.folder, `${bench.newId()}.json`);
  const outcome = await bench.run(args, { env: { TAPWARDEN_TIMINGS: timings } });
  return { ...outcome, timings: JSON.parse(await readFile(timings, 'utf8')) as Record<string, number> };
}

vmTest(
  'snapshot: guests that are restored from one state have random numbers of their own, and the time',
  async (t, bench) => {
    const began = Date.now();
    const runs = await Promise.all([1, 2].map(async () => await timed(bench, ['--', 'sh', '-c', made])));
    for (const { status, stderr } of runs) t.is(status, 0, stderr);
    const [first, second] = runs.map(({ stdout }) => stdout.toString().trim().split('\n'));
    if (first === undefined || second === undefined) return void t.fail('two runs have two outputs');
    t.is(first.length, 6);
    // The time is the same within seconds, all else is not. Two seconds after its restore a guest's kernel has taken in enough of its
    // own for that, so this cannot tell that the seed came first, which supervisor/session.test.ts does.
    for (const line of [0, 1, 2, 3, 5]) t.not(first[line], second[line], `line ${line}`);
    for (const [, , , , time] of [first, second]) {
      t.true(Number(time) * 1000 > began - 1000 && Number(time) * 1000 < Date.now() + 1000, `${time} is not now`);
    }
    // With KVM guests boot, and all of this holds as well.
    for (const { timings } of runs) t.is(timings['restored'], (await isEmulated()) ? 1 : 0);
  },
);

vmTest(
  'snapshot: --fresh-boot boots a guest, in which attempts are refused and told of as in any',
  async (t, bench) => {
    const attempt =
      'import socket\ntry: socket.create_connection(("192.0.2.1", 80))\nexcept ConnectionRefusedError: print("refused")';
    const { status, stdout, stderr, events, timings } = await timed(bench, [
      '--fresh-boot',
      '--',
      'python3',
      '-c',
      attempt,
    ]);
    t.is(status, 0, stderr);
    t.is(timings['restored'], 0);
    t.is(stdout.toString(), 'refused\n');
    t.is(events.filter(({ class_uid, activity_id }) => class_uid === 4001 && activity_id === 5).length, 1);
  },
);

vmTest('snapshot: a state that does not come up is thrown away, and the guest boots', async (t, bench) => {
  if (!(await isEmulated())) return void t.pass('with KVM guests boot');
  // A size of its own, and so a state of its own.
  const args = ['--memory', '384', '--', 'true'];
  t.is((await bench.run(args)).status, 0);
  const state = await newestState();
  t.is((await stat(state)).mode & 0o777, 0o600, 'only root reads it');
  await truncate(state, Math.floor((await stat(state)).size / 2));
  const broken = await timed(bench, args);
  t.is(broken.status, 0, broken.stderr);
  t.regex(broken.stderr, /the kept state of the guest does not come up; booting one: /);
  t.is(broken.timings['restored'], 0);
  t.is(await stat(state).catch(() => undefined), undefined, 'it is gone');
});

vmTest(
  'snapshot: a signal while it is taken ends all of it, and gc takes away what a kill -9 leaves',
  async (t, bench) => {
    if (!(await isEmulated())) return void t.pass('with KVM guests boot');
    for (const [signal, memory] of [
      ['SIGINT', '400'],
      ['SIGKILL', '404'],
    ] as const) {
      const running = bench.start(['--memory', memory, '--', 'true']);
      await until(() => running.errors().includes('to keep its state'));
      await sleep(1500);
      t.true(
        (await namespaces()).some((name) => name.startsWith('tw-snapshot-')),
        'a guest boots for it',
      );
      running.kill(signal);
      const end = await running.ended;
      if (signal === 'SIGINT') t.is(end.status, 130, end.stderr);
      else t.is((await bench.tapwarden(['gc'])).status, 0);
      t.deepEqual(
        (await namespaces()).filter((name) => name.startsWith('tw-snapshot-')),
        [],
      );
      t.deepEqual(await readdir(bench.runDir).catch(() => []), []);
    }
    // The next to take one takes away what the killed one left.
    t.is((await bench.run(['--memory', '404', '--', 'true'])).status, 0);
    t.deepEqual(
      (await readdir(store)).filter((name) => name.startsWith('.building')),
      [],
    );
    await rm(dirname(await newestState()), { recursive: true });
  },
);
