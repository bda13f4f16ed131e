import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { dir } from 'tmp-promise';
import { isTapwardenError } from '../../base/index.ts';
import { CursorFile } from './cursor-file.ts';

const position = { file: '5f0c', offset: 3120, line: 7, sequence: 9 };

async function place(t: ExecutionContext): Promise<{ readonly folder: string; readonly path: string }> {
  const { path: folder, cleanup } = await dir({ prefix: 'tapwarden-cursor-', unsafeCleanup: true });
  t.teardown(cleanup);
  return { folder, path: join(folder, 'cursor.json') };
}

const cursorOf = (path: string, problems: string[] = [], sink = 'https://a/b'): CursorFile =>
  new CursorFile(path, { sink, intervalMs: 10, onProblem: (problem) => void problems.push(problem) });

test('CursorFile: what was saved last is loaded, from a file of mode 0600 with nothing beside it', async (t) => {
  const { folder, path } = await place(t);
  const cursor = cursorOf(path);
  t.is(await cursor.load(), undefined);
  cursor.moved({ ...position, line: 6 });
  cursor.moved(position);
  await cursor.close();
  t.deepEqual(await cursorOf(path).load(), position);
  t.is((await stat(path)).mode & 0o777, 0o600);
  t.deepEqual(await readdir(folder), ['cursor.json']);
});

test('CursorFile: a movement is saved soon, without an end', async (t) => {
  const { path } = await place(t);
  const cursor = cursorOf(path);
  cursor.moved(position);
  for (let tries = 0; tries < 100 && (await cursorOf(path).load()) === undefined; tries += 1) await sleep(10);
  t.deepEqual(await cursorOf(path).load(), position);
  await cursor.close();
});

test("CursorFile: what is no cursor, or another receiver's, is refused and left alone", async (t) => {
  const { path } = await place(t);
  const good = { format: 'tapwarden-cursor', version: 1, sink: 'https://a/b', position };
  for (const [content, message] of [
    ['', /is no JSON/],
    ['null', /form of a cursor/],
    [JSON.stringify({ ...good, version: 2 }), /form of a cursor/],
    [JSON.stringify({ ...good, position: { ...position, offset: -1 } }), /form of a cursor/],
    [JSON.stringify({ ...good, position: { ...position, line: 1.5 } }), /form of a cursor/],
    [JSON.stringify({ ...good, position: { ...position, file: 1 } }), /form of a cursor/],
    [JSON.stringify({ ...good, sink: 'https://c/d' }), /belongs to https:\/\/c\/d, not to https:\/\/a\/b/],
  ] as const) {
    await writeFile(path, content);
    const error = await t.throwsAsync(cursorOf(path).load(), { message });
    t.true(isTapwardenError(error, 'CURSOR_INVALID'), content);
    t.is(await readFile(path, 'utf8'), content);
  }
});

test('CursorFile: saving that fails is told, tried again at the next movement, and an error at the end', async (t) => {
  const { folder } = await place(t);
  const path = join(folder, 'absent', 'cursor.json');
  const problems: string[] = [];
  const cursor = cursorOf(path, problems);
  cursor.moved(position);
  for (let tries = 0; tries < 100 && problems.length === 0; tries += 1) await sleep(10);
  t.regex(problems[0] ?? '', /Cannot write the cursor: ENOENT/);
  const error = await t.throwsAsync(cursor.close());
  t.true(isTapwardenError(error, 'FILE_UNREADABLE'));
  await mkdir(join(folder, 'absent'));
  cursor.moved(position);
  await cursor.close();
  t.deepEqual(await cursorOf(path).load(), position);
});
