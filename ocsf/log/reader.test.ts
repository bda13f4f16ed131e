import { mkdtempSync } from 'node:fs';
import { appendFile, mkdir, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { until } from '../../e2e/support/until.ts';
import { watchLog } from './changes.ts';
import { type LogPiece, type LogPosition, positionBehind, type ReadOptions, readLog } from './reader.ts';
import { rotatedFilesOf, rotatedPath } from './rotated.ts';

const line = (sequence: number, fill = ''): string =>
  `${JSON.stringify({ time: 1, metadata: { uid: `u${sequence}`, sequence }, fill })}\n`;
const lines = (from: number, to: number, fill = ''): string =>
  Array.from({ length: to - from + 1 }, (_, index) => line(from + index, fill)).join('');

function newLog(t: ExecutionContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'tapwarden-log-'));
  t.teardown(async () => await rm(folder, { recursive: true, force: true }));
  return join(folder, 'events.jsonl');
}

/** The sequences that a piece holds, and words for what is no event. */
function wordsOf(piece: LogPiece): readonly (number | string)[] {
  if (piece.kind === 'notice') return [piece.reason];
  return piece.lines.map((entry) =>
    entry.kind === 'line' ? (JSON.parse(entry.bytes.toString()).metadata.sequence as number) : entry.kind,
  );
}

async function readAll(path: string, options?: ReadOptions): Promise<readonly (number | string)[]> {
  const words: (number | string)[] = [];
  for await (const piece of readLog(path, options)) words.push(...wordsOf(piece));
  return words;
}

/** A reader that follows, and what it has read so far. It is stopped with the test. */
function follow(t: ExecutionContext, path: string, from?: ReadOptions['from']) {
  const stop = new AbortController();
  const reader = { words: [] as (number | string)[], position: undefined as LogPosition | undefined, stop };
  const ended = (async () => {
    for await (const piece of readLog(path, { from, follow: true, signal: stop.signal })) {
      reader.words.push(...wordsOf(piece));
      if (piece.kind === 'lines') reader.position = piece.position;
    }
  })();
  t.teardown(async () => {
    stop.abort();
    await ended;
  });
  return { ...reader, words: reader.words, position: () => reader.position, ended };
}

const range = (from: number, to: number): readonly number[] =>
  Array.from({ length: to - from + 1 }, (_, index) => from + index);

test('rotatedFilesOf(): finds the files of one log in the order of their numbers', (t) => {
  const names = ['e.jsonl', 'e.jsonl.000000000100', 'e.jsonl.000000000001', 'e.jsonl.torn-1', 'f.jsonl.000000000007'];
  t.deepEqual(
    rotatedFilesOf('/x/e.jsonl', [...names, 'e.jsonl.1000000000000', 'e.jsonl.1']).map((file) => file.firstSequence),
    [1, 100, 1_000_000_000_000],
  );
  t.is(rotatedPath('/x/e.jsonl', 100), '/x/e.jsonl.000000000100');
});

test('readLog(): reads the rotated files and then the live one', async (t) => {
  const path = newLog(t);
  await writeFile(path, lines(7, 9));
  await writeFile(rotatedPath(path, 4), lines(4, 6));
  await writeFile(rotatedPath(path, 1), lines(1, 3));
  t.deepEqual(await readAll(path), range(1, 9));
});

test('readLog(): a position behind any line is gone on from, also after the log was rotated', async (t) => {
  const path = newLog(t);
  await writeFile(rotatedPath(path, 1), lines(1, 3));
  await writeFile(path, lines(4, 6));
  const positions: (LogPosition | undefined)[] = [];
  for await (const piece of readLog(path)) {
    if (piece.kind === 'lines') positions.push(...piece.lines.map((entry) => positionBehind(piece, entry)));
  }
  t.like(positions[4], { line: 2, sequence: 5 });
  await rename(path, rotatedPath(path, 4));
  await writeFile(path, lines(7, 8));
  for (const [index, position] of positions.entries()) {
    // As it would be stored.
    const stored: LogPosition = JSON.parse(JSON.stringify(position));
    t.deepEqual(await readAll(path, { from: stored }), range(index + 2, 8));
  }
});

test('readLog(): the position of a piece is behind its last line, however large the log', async (t) => {
  const path = newLog(t);
  await writeFile(path, lines(1, 3000, 'x'.repeat(300)));
  const seen: (number | string)[] = [];
  let from: LogPosition | undefined;
  for (let pieces = 1; pieces > 0; ) {
    pieces = 0;
    for await (const piece of readLog(path, { from })) {
      seen.push(...wordsOf(piece));
      if (piece.kind === 'lines') from = piece.position;
      pieces += 1;
      break;
    }
  }
  t.deepEqual(seen, range(1, 3000));
  t.is(from?.line, 3000);
});

test('readLog(): says when the file of a position is gone, and how much with it', async (t) => {
  const path = newLog(t);
  await writeFile(path, lines(1, 3));
  const reader = readLog(path);
  const first = await reader.next();
  await reader.return();
  const from = first.value?.kind === 'lines' ? first.value.position : undefined;
  await writeFile(rotatedPath(path, 11), lines(11, 12));
  await writeFile(path, lines(13, 13));
  t.deepEqual(await readAll(path, { from }), ['gone', 'gap', 11, 12, 13]);
  const notices = [];
  for await (const piece of readLog(path, { from })) if (piece.kind === 'notice') notices.push(piece.message);
  t.regex(notices[1] ?? '', /events 4 to 10 of .* are not there/);
});

test('readLog(): what stands behind the last newline is no line yet, and its position is before it', async (t) => {
  const path = newLog(t);
  await writeFile(path, `${lines(1, 2)}${line(3).slice(0, 20)}`);
  let position: LogPosition | undefined;
  const words: (number | string)[] = [];
  for await (const piece of readLog(path)) {
    words.push(...wordsOf(piece));
    if (piece.kind === 'lines') position = piece.position;
  }
  t.deepEqual(words, [1, 2, 'unfinished']);
  await appendFile(path, line(3).slice(20));
  t.deepEqual(await readAll(path, { from: position }), [3]);
});

test('readLog(): a log that is not there is FILE_UNREADABLE, and so is one that is a folder', async (t) => {
  const path = newLog(t);
  await t.throwsAsync(readAll(path), { code: 'FILE_UNREADABLE', message: /ENOENT/ });
  await t.throwsAsync(readAll(join(path, '..')), { code: 'FILE_UNREADABLE', message: /EISDIR/ });
  await writeFile(path, '');
  await t.throwsAsync(readAll(join(path, 'x')), { code: 'FILE_UNREADABLE', message: /ENOTDIR/ });
  t.deepEqual(await readAll(path), []);
});

test('readLog() with follow: gives lines when they are whole, over rotations, without a gap or a repeat', async (t) => {
  const path = newLog(t);
  const reader = follow(t, path);
  await writeFile(path, lines(1, 2));
  await until(() => reader.words.length === 2);
  await appendFile(path, line(3).slice(0, 10));
  await appendFile(path, line(3).slice(10));
  await until(() => reader.words.length === 3);
  await rename(path, rotatedPath(path, 1));
  await writeFile(path, '');
  // As a writer does that has not changed over yet.
  await appendFile(rotatedPath(path, 1), lines(4, 5));
  await until(() => reader.words.length === 5);
  await appendFile(path, lines(6, 7));
  await until(() => reader.words.length === 7);
  t.deepEqual(reader.words, range(1, 7));
  t.like(reader.position(), { line: 2, sequence: 7 });
});

test('readLog() with follow: many rotations between two looks lose nothing', async (t) => {
  const path = newLog(t);
  const reader = follow(t, path);
  for (let first = 1; first <= 400; first += 4) {
    await writeFile(path, lines(first, first + 1));
    await appendFile(path, lines(first + 2, first + 3));
    await rename(path, rotatedPath(path, first));
  }
  await writeFile(path, lines(401, 401));
  await until(() => reader.words.length === 401);
  t.deepEqual(reader.words, range(1, 401));
});

test('readLog() with follow: a line that was moved aside as torn is never given out', async (t) => {
  const path = newLog(t);
  await writeFile(path, `${lines(1, 2)}{"time":7,"torn`);
  const reader = follow(t, path);
  await until(() => reader.words.length === 2);
  await truncate(path, lines(1, 2).length);
  await appendFile(path, line(3, 'longer than what was torn'));
  await until(() => reader.words.length === 3);
  t.deepEqual(reader.words, [1, 2, 3]);
});

test('readLog() with follow: a line that was cut off is broken once the log goes on in the next file', async (t) => {
  const path = newLog(t);
  await writeFile(path, `${lines(1, 2)}{"time":7,"torn`);
  const reader = follow(t, path);
  await until(() => reader.words.length === 2);
  await rename(path, rotatedPath(path, 1));
  await writeFile(path, lines(3, 3));
  await until(() => reader.words.length === 4);
  t.deepEqual(reader.words, [1, 2, 'broken', 3]);
});

test('readLog() with follow: a log that is cut or replaced is said to be', async (t) => {
  const path = newLog(t);
  await writeFile(path, lines(1, 4));
  const reader = follow(t, path);
  await until(() => reader.words.length === 4);
  await truncate(path, lines(1, 3).length);
  await until(() => reader.words.length === 5);
  await appendFile(path, line(5));
  await until(() => reader.words.length === 6);
  t.deepEqual(reader.words.splice(0), [1, 2, 3, 4, 'truncated', 5]);
  await writeFile(path, lines(10, 30));
  await until(() => reader.words.length === 22);
  t.deepEqual(reader.words.splice(0), ['truncated', ...range(10, 30)]);
  await rm(path);
  await writeFile(path, lines(1, 2));
  await until(() => reader.words.length === 3);
  t.deepEqual(reader.words, ['replaced', 1, 2]);
});

test("readLog() with follow: from 'end' gives what comes from now on", async (t) => {
  const path = newLog(t);
  await writeFile(path, `${lines(1, 3)}${line(4).slice(0, 9)}`);
  const reader = follow(t, path, 'end');
  await sleep(500);
  await appendFile(path, line(4).slice(9));
  await until(() => reader.words.length === 1);
  t.deepEqual(reader.words, [4]);
});

test('watchLog() wakes its reader for a change, and else once a second', async (t) => {
  const path = newLog(t);
  await writeFile(path, '');
  for (const place of [path, join(path, '..', 'later', 'events.jsonl')]) {
    const changes = watchLog(place);
    const until = Date.now() + 1500;
    let wakes = 0;
    while (Date.now() < until) {
      await changes.wait();
      wakes += 1;
    }
    // A file that was made just before may be told of still.
    t.true(wakes <= 4, `${wakes} times in 1.5 s`);
    changes.close();
    await changes.wait();
  }
});

test('readLog() with follow: ends when it is told to, in a folder that is not there too', async (t) => {
  const path = newLog(t);
  const nowhere = join(path, '..', 'later', 'events.jsonl');
  const readers = [follow(t, path), follow(t, nowhere)];
  await writeFile(path, line(1));
  await until(() => readers[0]?.words.length === 1);
  await mkdir(join(nowhere, '..'));
  await writeFile(nowhere, line(1));
  await until(() => readers[1]?.words.length === 1);
  t.deepEqual(
    readers.map(({ words }) => words),
    [[1], [1]],
  );
  for (const { stop, ended } of readers) {
    stop.abort();
    await ended;
  }
  t.is(await readFile(path, 'utf8'), line(1));
});
