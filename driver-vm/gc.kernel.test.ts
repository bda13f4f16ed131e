import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import test from 'ava';
import { dir } from 'tmp-promise';
import { type Child, type Run, start, UndoStack } from '../base/index.ts';
import { kernelTest } from '../e2e/support/kernel-tier.ts';
import { makeScratchNamespace, type ScratchNamespace } from '../e2e/support/scratch-namespace.ts';
import { openEventsFile } from './events-file.ts';
import { collectGarbage } from './gc.ts';
import type { Paths } from './paths.ts';
import { claimSandbox, listSandboxes, sandboxFolder, usersOf } from './sandbox-record.ts';
import { makeSlot } from './slot.ts';

let scratch: ScratchNamespace;
let folder = '';
let paths: Paths;
let started: Child[] = [];
test.beforeEach(async () => {
  if (process.geteuid?.() !== 0) return;
  scratch = await makeScratchNamespace();
  folder = (await dir({ prefix: 'tapwarden-gc-' })).path;
  paths = { stateDir: join(folder, 'state'), runDir: join(folder, 'run') };
});
test.afterEach.always(async () => {
  for (const child of started) child.process.kill('SIGKILL');
  started = [];
  await scratch?.close();
  await rm(folder, { recursive: true, force: true });
});

/** A sandbox of a process that was killed, with its slot and a process of each of its users. */
async function abandoned(id: string): Promise<{ readonly index: number; readonly children: readonly Child[] }> {
  const module = pathToFileURL('build/driver-vm/sandbox-record.js').href;
  const script = `const { claimSandbox } = await import(${JSON.stringify(module)});
    console.log((await claimSandbox(${JSON.stringify(paths)}, '${id}')).index);
    setInterval(() => undefined, 1000);`;
  const owner = start([process.execPath, '--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  started.push(owner);
  const index = Number(await new Promise((resolve) => owner.process.stdout?.once('data', resolve)));
  await makeSlot(scratch.run, { id, vmmUid: usersOf(index).vmm, direct: [] }, new UndoStack());
  const children = await Promise.all(
    Object.values(usersOf(index)).map(async (uid) => {
      const child = start(
        ['setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', 'sh', '-c', 'echo up; exec sleep 600'],
        { stdio: ['ignore', 'pipe', 'inherit'], detached: true },
      );
      started.push(child);
      await new Promise((resolve) => child.process.stdout?.once('data', resolve));
      return child;
    }),
  );
  owner.process.kill('SIGKILL');
  await owner.ended;
  return { index, children };
}

const namespaces = async (): Promise<readonly string[]> =>
  (await scratch.run(['ip', 'netns'])).stdout.split('\n').flatMap((line) => line.split(' ')[0] || []);

kernelTest('collectGarbage() takes away what a killed owner left: processes, namespace and folder', async (t) => {
  const { children } = await abandoned('dead');
  t.deepEqual(await collectGarbage(paths, scratch.run), { removed: ['dead'], alive: [] });
  for (const child of children) t.is((await child.ended).signal, 'SIGKILL');
  t.deepEqual(await namespaces(), []);
  t.false(existsSync(paths.runDir));
  t.deepEqual(await collectGarbage(paths, scratch.run), { removed: [], alive: [] });
});

kernelTest('collectGarbage() takes hand-over folders of event logs away that nobody holds', async (t) => {
  const [dead, alive] = ['dead', 'alive'].map((name) => join(paths.stateDir, 'events', `${name}.jsonl`)) as [
    string,
    string,
  ];
  const held = await openEventsFile(alive);
  await mkdir(`${dead}.next`);
  await writeFile(join(`${dead}.next`, 'next'), '');
  await collectGarbage(paths, scratch.run);
  t.deepEqual((await readdir(join(paths.stateDir, 'events'))).sort(), ['alive.jsonl', 'alive.jsonl.next']);
  await held.close();
});

kernelTest('collectGarbage() leaves a sandbox alone whose owner lives', async (t) => {
  const alive = await claimSandbox(paths, 'alive');
  await makeSlot(scratch.run, { id: 'alive', vmmUid: usersOf(alive.index).vmm, direct: [] }, new UndoStack());
  await abandoned('dead');
  t.deepEqual(await collectGarbage(paths, scratch.run), { removed: ['dead'], alive: ['alive'] });
  t.deepEqual(await namespaces(), ['tw-alive']);
  t.deepEqual(
    (await listSandboxes(paths)).map(({ record }) => record),
    [alive],
  );
});

kernelTest('collectGarbage() takes away claims that were cut off, and sandboxes whose record is broken', async (t) => {
  await mkdir(join(paths.runDir, '.new-4242'), { recursive: true });
  await mkdir(sandboxFolder(paths, 'broken'));
  await writeFile(join(sandboxFolder(paths, 'broken'), 'record.json'), '{"id":"bro');
  await makeSlot(scratch.run, { id: 'broken', vmmUid: 1_899_999_990, direct: [] }, new UndoStack());
  const { removed } = await collectGarbage(paths, scratch.run);
  t.deepEqual(removed.toSorted(), ['.new-4242', 'broken']);
  t.deepEqual(await namespaces(), []);
  t.false(existsSync(paths.runDir));
});

kernelTest('collectGarbage() touches nothing in the run directory that is not its own', async (t) => {
  const precious = join(folder, 'precious');
  await mkdir(precious);
  await writeFile(join(precious, 'file'), 'kept');
  await mkdir(join(paths.runDir, 'somebody-else'), { recursive: true });
  await writeFile(join(paths.runDir, 'somebody-else', 'file'), 'kept');
  await writeFile(join(paths.runDir, 'plain-file'), 'kept');
  await symlink(precious, join(paths.runDir, 'link'));
  t.deepEqual(await collectGarbage(paths, scratch.run), { removed: [], alive: [] });
  for (const file of [
    join(precious, 'file'),
    join(paths.runDir, 'somebody-else', 'file'),
    join(paths.runDir, 'plain-file'),
  ]) {
    t.is(await readFile(file, 'utf8'), 'kept');
  }
});

kernelTest('collectGarbage() keeps the record of what it could not take away, and finds it again', async (t) => {
  await abandoned('one');
  await abandoned('two');
  const stuck: Run = async (argv, options) =>
    await scratch.run(argv.includes('tw-one') ? ['sh', '-c', 'echo busy >&2; exit 1'] : argv, options);
  const error = await t.throwsAsync<AggregateError>(collectGarbage(paths, stuck), { instanceOf: AggregateError });
  t.regex(error?.message ?? '', /^Cannot take one away: .*busy$/);
  t.deepEqual(
    (await listSandboxes(paths)).map(({ name }) => name),
    ['one'],
  );
  t.deepEqual(await collectGarbage(paths, scratch.run), { removed: ['one'], alive: [] });
  t.deepEqual(await namespaces(), []);
});

kernelTest('collectGarbage() is content with a slot and processes that are gone already', async (t) => {
  const { children } = await abandoned('dead');
  for (const child of children) child.process.kill('SIGKILL');
  await scratch.run(['ip', 'netns', 'del', 'tw-dead']);
  t.deepEqual(await collectGarbage(paths, scratch.run), { removed: ['dead'], alive: [] });
});
