import { randomBytes } from 'node:crypto';
import { closeSync, openSync, writeSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { dir } from 'tmp-promise';
import {
  createEventSerializer,
  type EventBody,
  JsonlWriter,
  prepareLog,
  type Rotation,
  rotateIn,
} from '../ocsf/index.ts';
import { LineWriter } from '../ocsf/log/line-writer.ts';
import { eventNumber } from './ocsf-events.ts';
import { type PartMeasured, type Rounds, rowOf } from './ocsf-part.ts';
import { summarize } from './summary.ts';

/** Something that takes one event more, and how it is ended. */
type Writing = { readonly once: (number: number) => void; readonly end: () => Promise<void> };

/** Small enough that the measure rotates a few times, and leaves little on the disk. */
const rotation: Rotation = { maxBytes: 64 * 1024 * 1024, retention: { files: 1 } };
/** Events between two turns of the event loop, in which fsync is begun and answered. */
const eventsPerTurn = 100;

/**
 * Measures how fast events reach the log's file, with `fsync: interval` and rotation: lines that were made before, so
 * that it is the writing alone; whole events; and beside them lines that are written one by one.
 */
export async function measureWriting(say: (line: string) => void, rounds?: Rounds): Promise<PartMeasured> {
  const { path: folder } = await dir({ prefix: 'tapwarden-bench-' });
  const works = [
    { name: 'write', what: 'a line is written to the log, `fsync: interval`', begin: () => writingLines(folder) },
    { name: 'append', what: 'an event is serialised and written to the log', begin: () => appending(folder) },
    { name: 'write_alone', what: 'a line is written with a call of its own', begin: () => writingAlone(folder) },
  ];
  const measured = works.map((work) => ({ ...work, cpu: [] as number[], wall: [] as number[] }));
  try {
    const { rounds: times, roundMs } = rounds ?? { rounds: 9, roundMs: 300 };
    // The first round warms up.
    for (let round = 0; round <= times; round += 1) {
      for (const { begin, cpu, wall } of measured) {
        const rate = await runFor(begin(), roundMs);
        if (round > 0) cpu.push(rate.cpu);
        if (round > 0) wall.push(rate.wall);
      }
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  const rates = measured.map(({ name, what, cpu, wall }) => {
    const { median, max } = summarize(cpu);
    say(`${name}: ${Math.round(median)} a second`);
    return { name, rate: { what, perSecond: median, best: max, wall: summarize(wall).median } };
  });
  return {
    figures: Object.fromEntries(rates.map(({ name, rate }) => [`${name}_per_s`, Math.round(rate.perSecond)])),
    rows: rates.map(({ rate }) => rowOf(rate)),
  };
}

async function runFor(writing: Writing, ms: number): Promise<{ readonly cpu: number; readonly wall: number }> {
  const begunCpu = process.cpuUsage();
  const begun = performance.now();
  let count = 0;
  while (performance.now() - begun < ms) {
    for (let step = 0; step < eventsPerTurn; step += 1, count += 1) writing.once(count);
    await turn();
  }
  // Until the last line is acknowledged, or the end would be cheaper than the rest.
  await writing.end();
  const wall = performance.now() - begun;
  const { user, system } = process.cpuUsage(begunCpu);
  return { cpu: (count / (user + system)) * 1e6, wall: (count / wall) * 1000 };
}

function writingLines(folder: string): Writing {
  const path = join(folder, 'lines.jsonl');
  const { fd, nextSequence, firstSequence } = prepareLog(path, Date.now(), rotation);
  const numbers = { nextSequence, firstSequence, now: Date.now };
  const lines = someLines();
  const writer = new LineWriter(fd, {
    ...numbers,
    name: path,
    fsync: 'interval',
    maxHeldBytes: 1e9,
    onStatus: () => undefined,
    rotation,
    rotate: rotateIn(path, rotation, Date.now),
  });
  return {
    once: (number) => writer.push(lines[number % lines.length] ?? ''),
    end: async () => {
      await writer.flushed();
      writer.close();
    },
  };
}

function appending(folder: string): Writing {
  const log = JsonlWriter.open(join(folder, 'events.jsonl'), { now: Date.now, randomBytes, rotation });
  const events: readonly EventBody[] = Array.from({ length: 1000 }, (_, index) => eventNumber(index));
  return {
    once: (number) => void log.append(events[number % events.length] ?? eventNumber(0)),
    end: async () => {
      await log.flushed();
      log.close();
    },
  };
}

function writingAlone(folder: string): Writing {
  const lines = someLines();
  const fd = openSync(join(folder, 'alone.jsonl'), 'w');
  return {
    once: (number) => void writeSync(fd, lines[number % lines.length] ?? ''),
    end: async () => closeSync(fd),
  };
}

/** Lines as the log has them, each in one piece. */
function someLines(): readonly string[] {
  const serialize = createEventSerializer();
  const uid = '01J8Z6Q8W7M0V5T3N2K1H0G9F8';
  return Array.from({ length: 1000 }, (_, index) => {
    const text = serialize(eventNumber(index), { uid, sequence: index + 1, logged_time: 1_790_000_000_000 + index });
    return Buffer.from(`${text}\n`).toString('utf8');
  });
}
