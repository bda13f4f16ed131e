import { mkdir, readdir, readFile, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { dir } from 'tmp-promise';
import { start } from '../base/runner.ts';
import { ensureEntry, parseLockedInodes } from './image-store.ts';

const silent = (): void => undefined;

async function store(t: ExecutionContext): Promise<string> {
  const { path, cleanup } = await dir({ prefix: 'tapwarden-store-', unsafeCleanup: true });
  t.teardown(cleanup);
  return path;
}

test('ensureEntry builds an entry once, whoever asks at the same time', async (t) => {
  const path = await store(t);
  let builds = 0;
  const build = async (directory: string): Promise<void> => {
    builds += 1;
    await writeFile(join(directory, 'image'), 'x');
  };
  const ask = () => ensureEntry({ store: path, hash: 'ab', onProgress: silent, build });
  const asked = await Promise.all([ask(), ask(), ask()]);
  t.deepEqual(new Set(asked), new Set([join(path, 'ab')]));
  t.is(builds, 1);
  t.is(await readFile(join(path, 'ab', 'image'), 'utf8'), 'x');
  t.is((await stat(join(path, 'ab'))).mode & 0o777, 0o755, 'the VMM, a user of its own, can read it');
});

test('ensureEntry keeps from other users what is private', async (t) => {
  const path = await store(t);
  const build = async (directory: string): Promise<void> =>
    await writeFile(join(directory, 'state'), 'x', { mode: 0o644 });
  const directory = await ensureEntry({ store: path, hash: 'ab', onProgress: silent, isPrivate: true, build });
  t.is((await stat(directory)).mode & 0o777, 0o700);
  t.is((await stat(join(directory, 'state'))).mode & 0o777, 0o600);
});

test('ensureEntry makes nothing where it may not build, and finds what is there', async (t) => {
  const path = await store(t);
  const build = () => Promise.reject(new Error('must not be called'));
  const find = () => ensureEntry({ store: join(path, 'kind'), hash: 'ab', onProgress: silent, mayBuild: false, build });
  await t.throwsAsync(find(), { code: 'IMAGE_NOT_FOUND' });
  t.deepEqual(await readdir(path), []);
  await mkdir(join(path, 'kind', 'ab'), { recursive: true });
  t.is(await find(), join(path, 'kind', 'ab'));
});

test('ensureEntry leaves nothing of a build that fails, and takes away what a killed one left', async (t) => {
  const path = await store(t);
  await mkdir(join(path, '.building-killed'));
  await writeFile(join(path, '.building-killed', 'half'), 'x');
  const build = async (directory: string): Promise<void> => {
    await writeFile(join(directory, 'half'), 'x');
    throw new Error('out of paper');
  };
  await t.throwsAsync(ensureEntry({ store: path, hash: 'ab', onProgress: silent, build }), { message: 'out of paper' });
  t.deepEqual(await readdir(path), ['.lock']);
});

test('ensureEntry keeps the three entries used last, and those with a locked file', async (t) => {
  const path = await store(t);
  for (const [index, hash] of ['a1', 'a2', 'a3', 'a4'].entries()) {
    await mkdir(join(path, hash));
    await writeFile(join(path, hash, 'image'), hash);
    await utimes(join(path, hash), 1000 + index, 1000 + index);
  }
  const held = join(path, 'a1', 'image');
  const holder = start(['flock', '-s', held, 'sh', '-c', 'echo locked; read -r _'], {
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  await new Promise((resolve) => holder.process.stdout?.once('data', resolve));
  try {
    await ensureEntry({ store: path, hash: 'b1', onProgress: silent, build: () => Promise.resolve() });
  } finally {
    holder.process.stdin?.end();
    await holder.ended;
  }
  t.deepEqual((await readdir(path)).sort(), ['.lock', 'a1', 'a3', 'a4', 'b1']);
});

test('parseLockedInodes reads every kind of lock, and waiters', (t) => {
  const locks = [
    '1: OFDLCK ADVISORY  READ -1 fe:00:412317 100 101',
    '2: FLOCK  ADVISORY  WRITE 716 00:19:12 0 EOF',
    '2: -> FLOCK  ADVISORY  WRITE 717 00:19:12 0 EOF',
    '3: POSIX  ADVISORY  WRITE 1 08:01:7 0 EOF',
    '',
  ].join('\n');
  t.deepEqual(
    [...parseLockedInodes(locks)].sort((a, b) => a - b),
    [7, 12, 412_317],
  );
});
