import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import test from 'ava';
import { dir } from 'tmp-promise';
import { start, startTimeOf } from '../base/index.ts';
import type { Paths } from './paths.ts';
import {
  checkSandboxId,
  claimSandbox,
  firstIndexOf,
  isOwned,
  listSandboxes,
  releaseSandbox,
  sandboxFolder,
  usersOf,
} from './sandbox-record.ts';

let folder = '';
let count = 0;
test.before(async () => {
  folder = (await dir({ prefix: 'tapwarden-record-' })).path;
});
test.after.always(async () => await rm(folder, { recursive: true, force: true }));

function freshPaths(): Paths {
  count += 1;
  return { stateDir: join(folder, `${count}`, 'state'), runDir: join(folder, `${count}`, 'run') };
}

const stepsFrom = (paths: Paths, step: number): number => (firstIndexOf(paths) + step) % 32_768;

test('checkSandboxId() takes 1 to 32 characters a-z, 0-9 and "-", the first no "-"', (t) => {
  for (const id of ['a', '0', 'a-b', 'x'.repeat(32)]) t.is(checkSandboxId(id), id);
  for (const id of ['', '-a', 'A', 'a_b', 'a.b', '../a', 'a/b', 'a\n', 'ä', 'x'.repeat(33), '.new-1']) {
    t.throws(() => checkSandboxId(id), { code: 'NAME_INVALID' }, id);
  }
});

test('claimSandbox() writes a record that names its owner, in a folder that others only pass through', async (t) => {
  const paths = freshPaths();
  const record = await claimSandbox(paths, 'a');
  t.deepEqual(record, {
    id: 'a',
    index: firstIndexOf(paths),
    owner: { pid: process.pid, startTime: (await startTimeOf(process.pid)) ?? '' },
  });
  t.deepEqual(JSON.parse(await readFile(join(sandboxFolder(paths, 'a'), 'record.json'), 'utf8')), record);
  t.is((await stat(sandboxFolder(paths, 'a'))).mode & 0o777, 0o711);
  t.is((await stat(join(sandboxFolder(paths, 'a'), 'record.json'))).mode & 0o777, 0o600);
  t.deepEqual(await readdir(paths.runDir), ['a']);
  t.true(await isOwned(record));
});

test('claimSandbox() gives each sandbox the lowest free index, and so users of its own', async (t) => {
  const paths = freshPaths();
  const records = [await claimSandbox(paths, 'a'), await claimSandbox(paths, 'b'), await claimSandbox(paths, 'c')];
  t.deepEqual(
    records.map(({ index }) => index),
    [0, 1, 2].map((step) => stepsFrom(paths, step)),
  );
  await releaseSandbox(paths, 'b');
  t.is((await claimSandbox(paths, 'd')).index, stepsFrom(paths, 1));
  const uids = [0, 1, 2].flatMap((index) => Object.values(usersOf(index)));
  t.is(new Set(uids).size, 6);
  t.true(uids.every((uid) => uid > 1_000_000));
});

test('claimSandbox() passes over an index whose users have processes', async (t) => {
  if (process.geteuid?.() !== 0) {
    t.log('skipped: only root can start a process as another user');
    t.pass();
    return;
  }
  const paths = freshPaths();
  const { channel } = usersOf(firstIndexOf(paths));
  const squatter = start(['setpriv', `--reuid=${channel}`, '--clear-groups', 'sh', '-c', 'echo x; exec sleep 20'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await new Promise((resolve) => squatter.process.stdout?.once('data', resolve));
  t.is((await claimSandbox(paths, 'a')).index, stepsFrom(paths, 1));
  squatter.process.kill('SIGKILL');
  await squatter.ended;
});

test('firstIndexOf() spreads run directories over all indices', (t) => {
  const first = (runDir: string): number => firstIndexOf({ stateDir: '/s', runDir });
  t.is(first('/run/tapwarden'), first('/run/tapwarden'));
  const indices = Array.from({ length: 200 }, (_, number) => first(`/run/tapwarden-${number}`));
  t.true(new Set(indices).size > 190);
  t.true(indices.every((index) => index >= 0 && index <= 32_767));
});

test('claimSandbox() gives claims of several processes at once different indices', async (t) => {
  const paths = freshPaths();
  const module = pathToFileURL('build/driver-vm/sandbox-record.js').href;
  const children = ['a', 'b', 'c'].map((name) => {
    const script = `const { claimSandbox } = await import(${JSON.stringify(module)});
      for (const n of [1, 2, 3, 4]) await claimSandbox(${JSON.stringify(paths)}, '${name}' + n);`;
    return start([process.execPath, '--input-type=module', '-e', script], { stdio: ['ignore', 'ignore', 'inherit'] });
  });
  for (const child of children) t.is((await child.ended).status, 0);
  const indices = (await listSandboxes(paths)).map(({ record }) => record?.index ?? -1);
  t.deepEqual(
    indices.toSorted((a, b) => a - b),
    Array.from({ length: 12 }, (_, step) => stepsFrom(paths, step)).toSorted((a, b) => a - b),
  );
});

test('claimSandbox() refuses an id that is taken, also at the same time, and leaves what is there', async (t) => {
  const paths = freshPaths();
  const results = await Promise.allSettled([claimSandbox(paths, 'a'), claimSandbox(paths, 'a')]);
  t.deepEqual(results.map(({ status }) => status).toSorted(), ['fulfilled', 'rejected']);
  const refused = results.find((result) => result.status === 'rejected');
  t.is(refused?.reason.code, 'SANDBOX_EXISTS');
  t.deepEqual(await readdir(paths.runDir), ['a']);
  t.is((await listSandboxes(paths))[0]?.record?.index, firstIndexOf(paths));
});

test('claimSandbox() refuses a bad id before it makes anything', async (t) => {
  const paths = freshPaths();
  await t.throwsAsync(claimSandbox(paths, '../x'), { code: 'NAME_INVALID' });
  t.deepEqual(await listSandboxes(paths), []);
});

test('releaseSandbox() removes the folder, and the run directory with the last one', async (t) => {
  const paths = freshPaths();
  await claimSandbox(paths, 'a');
  await claimSandbox(paths, 'b');
  await releaseSandbox(paths, 'a');
  t.deepEqual(await readdir(paths.runDir), ['b']);
  await releaseSandbox(paths, 'b');
  await t.throwsAsync(stat(paths.runDir), { code: 'ENOENT' });
  await releaseSandbox(paths, 'b');
});

test('listSandboxes() lists what it cannot read without a record', async (t) => {
  const paths = freshPaths();
  await claimSandbox(paths, 'good');
  const broken: Readonly<Record<string, string>> = {
    empty: '',
    half: '{"id":"half","ind',
    alien: '{"id":"alien","index":1,"owner":{"pid":1,"startTime":"1"},"more":1}',
    negative: '{"id":"negative","index":-1,"owner":{"pid":1,"startTime":"1"}}',
    renamed: '{"id":"good","index":5,"owner":{"pid":1,"startTime":"1"}}',
  };
  for (const [name, text] of Object.entries(broken)) {
    await mkdir(sandboxFolder(paths, name));
    await writeFile(join(sandboxFolder(paths, name), 'record.json'), text);
  }
  const known = (await listSandboxes(paths)).filter(({ record }) => record !== undefined);
  t.deepEqual(
    known.map(({ name }) => name),
    ['good'],
  );
  t.is((await listSandboxes(paths)).length, 6);
});

test('isOwned() tells a later process of the same pid from the owner', async (t) => {
  const paths = freshPaths();
  const record = await claimSandbox(paths, 'a');
  t.false(await isOwned({ ...record, owner: { ...record.owner, startTime: '1' } }));
  const child = start(['sleep', '20']);
  const pid = child.process.pid ?? 0;
  const owner = { pid, startTime: (await startTimeOf(pid)) ?? '' };
  t.true(await isOwned({ ...record, owner }));
  child.process.kill('SIGKILL');
  await child.ended;
  t.false(await isOwned({ ...record, owner }));
});
