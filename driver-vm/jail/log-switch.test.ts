import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { dir } from 'tmp-promise';
import { collectLogSwitch, holdLogSwitch, type LogSwitchPaths, releaseLogSwitch } from './log-switch.ts';

type Machine = { readonly paths: LogSwitchPaths; readonly value: () => Promise<string> };

/** A switch in a folder, as a machine has one. */
async function makeMachine(t: ExecutionContext, value = '0'): Promise<Machine> {
  const { path, cleanup } = await dir({ unsafeCleanup: true });
  t.teardown(cleanup);
  const paths = { value: join(path, 'value'), record: join(path, 'record.json'), lock: join(path, 'lock') };
  await writeFile(paths.value, value);
  return { paths, value: async () => (await readFile(paths.value, 'utf8')).trim() };
}

test('holdLogSwitch() sets the switch, and the last who lets it go puts back what was', async (t) => {
  const { paths, value } = await makeMachine(t);
  t.true(await holdLogSwitch('a', paths));
  t.true(await holdLogSwitch('b', paths));
  t.is(await value(), '1');
  await releaseLogSwitch('a', paths);
  t.is(await value(), '1', 'b holds it still');
  await releaseLogSwitch('a', paths);
  t.is(await value(), '1', 'letting go twice is letting go once');
  await releaseLogSwitch('b', paths);
  t.is(await value(), '0');
  t.false(existsSync(paths.record));
});

test('holdLogSwitch() leaves a switch on that was on before', async (t) => {
  const { paths, value } = await makeMachine(t, '1');
  await holdLogSwitch('a', paths);
  await releaseLogSwitch('a', paths);
  t.is(await value(), '1');
});

test('holdLogSwitch() at once by many holds for all of them', async (t) => {
  const { paths, value } = await makeMachine(t);
  const ids = ['a', 'b', 'c', 'd', 'e', 'f'];
  await Promise.all(ids.map(async (id) => await holdLogSwitch(id, paths)));
  await Promise.all(ids.slice(1).map(async (id) => await releaseLogSwitch(id, paths)));
  t.is(await value(), '1');
  await releaseLogSwitch('a', paths);
  t.is(await value(), '0');
});

test('collectLogSwitch() lets go for those whose process is gone, and for nobody else', async (t) => {
  const { paths, value } = await makeMachine(t);
  await holdLogSwitch('a', paths);
  const record = JSON.parse(await readFile(paths.record, 'utf8')) as { holders: readonly object[] };
  // Nobody has this pid's start time: a later process of the same pid is not the one that held it.
  const dead = { id: 'dead', pid: process.pid, startTime: '1' };
  await writeFile(paths.record, JSON.stringify({ ...record, holders: [...record.holders, dead] }));
  await collectLogSwitch(paths);
  t.is(await value(), '1');
  t.deepEqual(JSON.parse(await readFile(paths.record, 'utf8')), record);
  await writeFile(paths.record, JSON.stringify({ ...record, holders: [dead] }));
  await collectLogSwitch(paths);
  t.is(await value(), '0');
  t.false(existsSync(paths.record));
});

test('releaseLogSwitch() leaves what somebody else set meanwhile', async (t) => {
  const { paths, value } = await makeMachine(t);
  await holdLogSwitch('a', paths);
  await writeFile(paths.value, '0');
  await holdLogSwitch('b', paths);
  t.is(await value(), '1', 'who comes later needs it on');
  await writeFile(paths.value, '2');
  await releaseLogSwitch('a', paths);
  await releaseLogSwitch('b', paths);
  t.is(await value(), '2');
});

test('holdLogSwitch() says where there is no switch, and where it cannot be set', async (t) => {
  const { paths } = await makeMachine(t);
  t.false(await holdLogSwitch('a', { ...paths, value: `${paths.value}-absent` }));
  t.false(existsSync(paths.record));
  // A file of /proc that takes no writing.
  t.false(await holdLogSwitch('a', { ...paths, value: '/proc/sys/kernel/random/poolsize' }));
  t.false(existsSync(paths.record));
});

test('a record of an earlier boot, or one that is cut off, holds nothing', async (t) => {
  const { paths, value } = await makeMachine(t);
  const holder = { id: 'a', pid: process.pid, startTime: '1' };
  await writeFile(paths.record, JSON.stringify({ boot: 'another', former: '1', holders: [holder] }));
  await holdLogSwitch('a', paths);
  await releaseLogSwitch('a', paths);
  t.is(await value(), '0', 'what was before in this boot');
  await writeFile(paths.record, '{"boot":');
  t.true(await holdLogSwitch('a', paths));
  await releaseLogSwitch('a', paths);
  t.is(await value(), '0');
});
