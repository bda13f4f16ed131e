import { randomBytes } from 'node:crypto';
import { linkSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { start } from '../../base/index.ts';
import { bare as context } from '../../e2e/support/sample-events.ts';
import { seeded } from '../../e2e/support/seeded.ts';
import { JsonlWriter, type Rotation, readLog, sandboxStarted } from '../index.ts';
import { parseEventLine, sequenceOf } from './event-line.ts';
import type { FsyncPolicy } from './line-writer.ts';
import { inspectLog } from './log-end.ts';
import { prepareLog } from './prepare.ts';
import { listRotated, rotatedPath } from './rotated.ts';
import { applyRetention, isRotationDue, rotateLog } from './rotation.ts';

const body = sandboxStarted(context, { time: 1790000000123, accelerator: 'kvm' });
const dayMs = 24 * 60 * 60 * 1000;

function newPath(t: ExecutionContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'tapwarden-rotation-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  return join(folder, 'events.jsonl');
}

/** Writes events to a log and closes it. */
function write(path: string, events: number, rotation?: Rotation, now: () => number = Date.now): void {
  const log = JsonlWriter.open(path, { now, randomBytes, ...(rotation === undefined ? {} : { rotation }) });
  for (let number = 0; number < events; number += 1) {
    log.append(body);
    log.flush();
  }
  log.close();
}

const namesIn = (path: string): readonly string[] => readdirSync(dirname(path)).sort();

/** The sequence numbers in a log, over all its files, and words for what is no event. */
async function sequencesIn(path: string): Promise<readonly (number | string)[]> {
  const words: (number | string)[] = [];
  for await (const piece of readLog(path)) {
    if (piece.kind === 'notice') words.push(piece.message);
    else {
      for (const line of piece.lines.map(parseEventLine)) {
        words.push(line.kind === 'event' ? (sequenceOf(line.event) ?? 'none') : line.problem);
      }
    }
  }
  return words;
}

const range = (to: number): readonly number[] => Array.from({ length: to }, (_, index) => index + 1);

test('JsonlWriter: rotates by size, names files after their first event, and keeps the sequence', async (t) => {
  const path = newPath(t);
  write(path, 1);
  const line = statSync(path).size;
  const rotation = { maxBytes: 3 * line - 20 };
  write(path, 9, rotation);
  t.deepEqual(await sequencesIn(path), range(10));
  t.deepEqual(namesIn(path), [
    'events.jsonl',
    'events.jsonl.000000000001',
    'events.jsonl.000000000004',
    'events.jsonl.000000000007',
  ]);
  for (const { path: file } of listRotated(path)) t.is(statSync(file).mode & 0o777, 0o600);
  t.is(statSync(path).mode & 0o777, 0o600);
});

test('JsonlWriter: rotates before the first line of a new day', async (t) => {
  const path = newPath(t);
  const clock = { now: Date.UTC(2026, 0, 5, 23, 59, 58) };
  const log = JsonlWriter.open(path, { now: () => clock.now, randomBytes, rotation: { maxBytes: 1e9 } });
  for (const step of [0, 1000, 1000, 1000, 1000, dayMs]) {
    clock.now += step;
    log.append(body);
    log.flush();
  }
  log.close();
  t.deepEqual(await sequencesIn(path), range(6));
  t.deepEqual(namesIn(path), ['events.jsonl', 'events.jsonl.000000000001', 'events.jsonl.000000000003']);
});

test('isRotationDue(): a file without a line is never rotated, and days can be left out', (t) => {
  const [now, yesterday] = [10 * dayMs, 10 * dayMs - 1];
  t.true(isRotationDue({ maxBytes: 100 }, { bytes: 100, lastWritten: now }, now));
  t.false(isRotationDue({ maxBytes: 100 }, { bytes: 99, lastWritten: now }, now));
  t.true(isRotationDue({ maxBytes: 100 }, { bytes: 1, lastWritten: yesterday }, now));
  t.false(isRotationDue({ maxBytes: 100, daily: false }, { bytes: 1, lastWritten: yesterday }, now));
  t.false(isRotationDue({ maxBytes: 100 }, { bytes: 0, lastWritten: yesterday }, now));
});

test('applyRetention(): removes the oldest beyond each bound, and leaves no hole', (t) => {
  const path = newPath(t);
  const now = 100 * dayMs;
  const make = (): void => {
    for (const [index, size] of [10, 10, 50, 10, 10].entries()) {
      const file = rotatedPath(path, index + 1);
      writeFileSync(file, 'x'.repeat(size));
      utimesSync(file, now / 1000, (now - (5 - index) * dayMs) / 1000);
    }
  };
  const keptBy = (retention: Rotation['retention']): readonly number[] => {
    make();
    applyRetention(path, retention ?? {}, now);
    return listRotated(path).map(({ firstSequence }) => firstSequence);
  };
  t.deepEqual(keptBy({}), [1, 2, 3, 4, 5]);
  t.deepEqual(keptBy({ files: 2 }), [4, 5]);
  t.deepEqual(keptBy({ files: 0 }), []);
  t.deepEqual(keptBy({ bytes: 60 }), [4, 5]);
  t.deepEqual(keptBy({ bytes: 70 }), [3, 4, 5]);
  t.deepEqual(keptBy({ days: 3 }), [3, 4, 5]);
});

test('prepareLog(): rotates and removes before a run, as the options say', async (t) => {
  const path = newPath(t);
  const yesterday = Date.now() - dayMs;
  write(path, 2);
  utimesSync(path, yesterday / 1000, yesterday / 1000);
  write(path, 1, { maxBytes: 1e9 });
  t.deepEqual(namesIn(path), ['events.jsonl', 'events.jsonl.000000000001']);
  write(path, 1, { maxBytes: 10, retention: { files: 1 } });
  t.deepEqual(namesIn(path), ['events.jsonl', 'events.jsonl.000000000003']);
  t.deepEqual(await sequencesIn(path), [3, 4]);
});

test('prepareLog(): goes on from the rotated file where the live one is empty, missing or torn at once', async (t) => {
  const path = newPath(t);
  write(path, 3);
  rotateLog(path, 1);
  t.like(inspectLog(path), { nextSequence: 4, firstSequence: 4 });
  write(path, 2);
  rmSync(path);
  t.like(inspectLog(path), { nextSequence: 4 });
  writeFileSync(path, '{"time":17');
  t.like(inspectLog(path), { nextSequence: 4, torn: { offset: 0, bytes: 10 } });
  write(path, 2);
  t.deepEqual(await sequencesIn(path), range(5));
});

test('prepareLog(): a torn last line in the rotated file is moved aside, where the next file was not begun', async (t) => {
  const path = newPath(t);
  write(path, 3);
  const text = readFileSync(path, 'utf8');
  writeFileSync(path, text.slice(0, -9));
  rotateLog(path, 1);
  const log = JsonlWriter.open(path, { now: Date.now, randomBytes });
  log.append(body);
  log.close();
  t.regex(log.torn ?? '', /events\.jsonl\.torn-/);
  t.is(readFileSync(log.torn ?? '', 'utf8'), text.slice(text.slice(0, -1).lastIndexOf('\n') + 1, -9));
  t.deepEqual(await sequencesIn(path), range(3));
});

test('prepareLog(): a rotation that was killed between its two steps is taken back', async (t) => {
  const path = newPath(t);
  write(path, 3);
  linkSync(path, rotatedPath(path, 1));
  writeFileSync(`${path}.new`, '');
  t.deepEqual(await sequencesIn(path), range(3), 'a reader sees each event once all the same');
  t.like(inspectLog(path), { nextSequence: 4, firstSequence: 1 });
  write(path, 1);
  t.deepEqual(namesIn(path), ['events.jsonl']);
  t.deepEqual(await sequencesIn(path), range(4));
});

test('rotateLog(): never overwrites a file, and leaves the log as it is then', async (t) => {
  const path = newPath(t);
  write(path, 2);
  writeFileSync(rotatedPath(path, 1), 'somebody else');
  t.throws(() => rotateLog(path, 1), { code: 'EEXIST' });
  t.is(readFileSync(rotatedPath(path, 1), 'utf8'), 'somebody else');
  t.deepEqual(namesIn(path), ['events.jsonl', 'events.jsonl.000000000001']);
});

test('JsonlWriter: goes on in the old file when it cannot rotate, and says so', async (t) => {
  const path = newPath(t);
  writeFileSync(rotatedPath(path, 1), '');
  const seen: (string | undefined)[] = [];
  const log = JsonlWriter.open(path, {
    now: Date.now,
    randomBytes,
    rotation: { maxBytes: 10 },
    onStatus: ({ rotationProblem }) => seen.push(rotationProblem),
  });
  for (let number = 0; number < 3; number += 1) {
    log.append(body);
    log.flush();
  }
  t.is(seen.length, 1, 'it does not try at every line');
  t.regex(seen[0] ?? '', /EEXIST/);
  t.like(log.status, { state: 'writing', acknowledged: 3 });
  log.close();
  rmSync(rotatedPath(path, 1));
  t.deepEqual(await sequencesIn(path), range(3));
});

/** Runs the program of log-child.ts until it has printed something, and `ms` more, and kills it. Returns what it printed. */
async function killed(path: string, fsync: FsyncPolicy, ms: number): Promise<readonly string[]> {
  const child = start([process.execPath, 'build/e2e/support/log-child.js', path, fsync], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  const begun = new Promise((resolve) => child.process.stdout?.once('data', resolve));
  child.process.stdout?.on('data', (piece: Buffer) => {
    output += piece.toString();
  });
  const closed = new Promise((resolve) => child.process.stdout?.once('close', resolve));
  await Promise.race([begun, child.ended]);
  await sleep(ms);
  child.process.kill('SIGKILL');
  await Promise.all([child.ended, closed]);
  return output.split('\n').slice(0, -1);
}

for (const [index, fsync] of (['always', 'interval', 'never'] as const).entries()) {
  test.serial(`JsonlWriter: what was acknowledged survives kill -9 at any moment, with fsync: ${fsync}`, async (t) => {
    t.timeout(180_000);
    const path = newPath(t);
    const random = seeded(20_260_000 + index);
    let acknowledged = 0;
    for (let kill = 0; kill < 15; kill += 1) {
      const [begun, ...acks] = await killed(path, fsync, random() * 60);
      t.regex(begun ?? '', /^begun [01]$/);
      acknowledged = Math.max(acknowledged, Number(acks.at(-1) ?? 0));
      // Read as it was left, before anybody sets it right: at most one line without an end, and it is the last.
      const words = await sequencesIn(path);
      const whole = words.filter((word) => typeof word === 'number');
      t.deepEqual(whole, range(whole.length), `after kill ${kill}`);
      t.true(whole.length >= acknowledged, `${whole.length} events, ${acknowledged} acknowledged`);
      t.true(words.length - whole.length <= 1);
      t.is(typeof words.findLast((word) => typeof word === 'number'), 'number');
    }
    const torn = namesIn(path).filter((name) => name.includes('.torn-'));
    t.log(`${acknowledged} acknowledged, ${listRotated(path).length} rotations, ${torn.length} torn lines`);
    t.true(listRotated(path).length >= 10, 'it was rotated under the kills');
    prepareLog(path, Date.now());
    const left = namesIn(path).filter((name) => !/^events\.jsonl(\.\d+|\.torn-.*)?$/.test(name));
    t.deepEqual(left, [], basename(path));
  });
}
