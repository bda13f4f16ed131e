import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import test from 'ava';
import { dir } from 'tmp-promise';
import { startTimeOf, withLock } from './lock.ts';
import { type Child, start } from './runner.ts';

/** Another process that takes the lock, says `held`, and holds it for so many milliseconds. */
async function holder(path: string, holdMs: number): Promise<Child> {
  const lock = pathToFileURL('build/base/lock.js').href;
  const script = `
    const { withLock } = await import(${JSON.stringify(lock)});
    await withLock(${JSON.stringify(path)}, {}, async () => {
      console.log('held');
      await new Promise((resolve) => setTimeout(resolve, ${holdMs}));
      console.log(Date.now());
    });`;
  const child = start([process.execPath, '--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await new Promise((resolve) => child.process.stdout?.once('data', resolve));
  return child;
}

let folder = '';
let files = 0;
test.before(async () => {
  folder = (await dir({ prefix: 'tapwarden-lock-' })).path;
});
test.after.always(async () => await rm(folder, { recursive: true, force: true }));

/** The path of a lock that no other test uses, in a folder that is not there yet. */
function freshPath(): string {
  files += 1;
  return join(folder, String(files), 'lock');
}

test('withLock() lets one process in at a time, and says when it waits', async (t) => {
  const path = freshPath();
  const other = await holder(path, 600);
  const left = new Promise((resolve) => other.process.stdout?.once('data', resolve));
  let waited = 0;
  let entered = 0;
  await withLock(path, { onWait: () => (waited += 1) }, async () => {
    entered = Date.now();
  });
  t.is(waited, 1);
  t.true(entered >= Number(await left));
  t.is((await other.ended).status, 0);
});

test('withLock() excludes calls of one process from each other, and returns what the body returns', async (t) => {
  const path = freshPath();
  let inside = 0;
  const results = await Promise.all(
    [1, 2, 3].map((number) =>
      withLock(path, {}, async () => {
        inside += 1;
        t.is(inside, 1);
        await sleep(30);
        inside -= 1;
        return number;
      }),
    ),
  );
  t.deepEqual(results, [1, 2, 3]);
});

test('withLock() gets the lock of a holder that was killed', async (t) => {
  const path = freshPath();
  const other = await holder(path, 60_000);
  other.process.kill('SIGKILL');
  await other.ended;
  t.is(await withLock(path, { timeoutS: 5 }, async () => 'in'), 'in');
});

test('withLock() gives up with LOCK_TIMEOUT, and the body does not run', async (t) => {
  const path = freshPath();
  const other = await holder(path, 60_000);
  const late = withLock(path, { timeoutS: 1 }, async () => t.fail());
  await t.throwsAsync(late, { code: 'LOCK_TIMEOUT', message: /more than 1 s/ });
  other.process.kill('SIGKILL');
  await other.ended;
});

test('withLock() frees the lock when the body throws', async (t) => {
  const path = freshPath();
  await t.throwsAsync(
    withLock(path, {}, async () => await Promise.reject(new Error('body'))),
    { message: 'body' },
  );
  t.is(await withLock(path, { timeoutS: 1 }, async () => 1), 1);
});

test('startTimeOf() names a living process, and no other', async (t) => {
  const own = await startTimeOf(process.pid);
  t.regex(own ?? '', /^\d+$/);
  const child = start(['sleep', '20']);
  const pid = child.process.pid ?? 0;
  t.true(Number(await startTimeOf(pid)) >= Number(own));
  child.process.kill('SIGKILL');
  await child.ended;
  t.is(await startTimeOf(pid), undefined);
});
