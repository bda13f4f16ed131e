import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { run } from '../../base/index.ts';
import { kernelTest } from '../../e2e/support/kernel-tier.ts';
import { bare as context } from '../../e2e/support/sample-events.ts';
import { until } from '../../e2e/support/until.ts';
import { JsonlWriter, type LogStatus, sandboxStarted } from '../index.ts';
import type { FsyncPolicy } from './line-writer.ts';
import { inspectLog } from './log-end.ts';

const body = sandboxStarted(context, { time: 1790000000123, accelerator: 'kvm' });

let folder = '';
test.beforeEach(async () => {
  if (process.geteuid?.() !== 0) return;
  folder = mkdtempSync(join(tmpdir(), 'tapwarden-full-'));
  mkdirSync(join(folder, 'disk'));
  await run(['mount', '-t', 'tmpfs', '-o', 'size=256k,mode=0700', 'tmpfs', join(folder, 'disk')]);
});
test.afterEach.always(async () => {
  if (folder === '') return;
  // A test that failed may have left the log open.
  await run(['umount', '-l', join(folder, 'disk')], { okStatuses: [0, 32] });
  rmSync(folder, { recursive: true });
  folder = '';
});

/** Fills the disk but for a few bytes, and returns how to make room again. */
function fill(): () => void {
  const ballast = join(folder, 'disk', 'ballast');
  const { bavail, bsize } = statfsSync(join(folder, 'disk'));
  writeFileSync(ballast, Buffer.alloc((bavail - 2) * bsize));
  return () => rmSync(ballast);
}

function sequencesIn(path: string): readonly number[] {
  const lines = readFileSync(path, 'utf8').split('\n');
  return lines.slice(0, -1).map((line) => JSON.parse(line).metadata.sequence);
}

const range = (to: number): readonly number[] => Array.from({ length: to }, (_, index) => index + 1);

for (const fsync of ['always', 'interval', 'never'] as const satisfies readonly FsyncPolicy[]) {
  kernelTest(`JsonlWriter: a full disk is seen, and what it did not take is written in order, ${fsync}`, async (t) => {
    const path = join(folder, 'disk', 'events.jsonl');
    const seen: LogStatus[] = [];
    const log = JsonlWriter.open(path, { now: Date.now, randomBytes, fsync, onStatus: (status) => seen.push(status) });
    log.append(body);
    await log.flushed();
    const makeRoom = fill();
    for (let number = 2; number <= 50; number += 1) log.append(body);
    await t.throwsAsync(log.flushed(), { code: 'EVENTS_UNWRITABLE', message: /ENOSPC/ });
    // With 'always', what was written is on its way to the disk.
    await until(() => log.status.held + log.status.acknowledged === 50);
    const { state, held, acknowledged, dropped } = log.status;
    t.is(state, 'failing');
    t.is(held + acknowledged, 50);
    t.true(held > 20, `${held} held`);
    t.is(dropped, 0);
    t.is(seen.length, 1);
    log.append(body);
    makeRoom();
    await until(() => log.status.held === 0);
    t.like(seen[1], { state: 'writing', held: 0 });
    log.append(body);
    await log.flushed();
    log.close();
    t.deepEqual(sequencesIn(path), range(52));
  });
}

kernelTest('JsonlWriter: what is beyond the bound is counted and leaves no hole in the sequence', async (t) => {
  const path = join(folder, 'disk', 'events.jsonl');
  const log = JsonlWriter.open(path, { now: Date.now, randomBytes, maxHeldBytes: 40_000 });
  const makeRoom = fill();
  let taken = 0;
  for (let number = 0; number < 200; number += 1) {
    if (log.append(body) !== undefined) taken += 1;
    if (number === 20) log.flush();
  }
  const { dropped } = log.status;
  t.is(taken + dropped, 200);
  t.true(dropped > 100, `${dropped} dropped`);
  makeRoom();
  await until(() => log.status.held === 0);
  t.is(log.append(body)?.sequence, taken + 1);
  log.close();
  t.like(log.status, { dropped });
  t.deepEqual(sequencesIn(path), range(taken + 1));
});

kernelTest(
  'JsonlWriter: a disk that stays full is an error at the end, and the next start finds whole lines',
  async (t) => {
    const path = join(folder, 'disk', 'events.jsonl');
    const log = JsonlWriter.open(path, { now: Date.now, randomBytes });
    fill();
    for (let number = 0; number < 30; number += 1) log.append(body);
    log.flush();
    const { held } = log.status;
    t.like(
      t.throws(() => log.close()),
      { code: 'EVENTS_UNWRITABLE', details: { unwritten: held } },
    );
    t.deepEqual(sequencesIn(path), range(30 - held));
    t.deepEqual(inspectLog(path), { nextSequence: 31 - held, firstSequence: 1 });
  },
);

kernelTest('JsonlWriter: a rotation that the disk has no room for is put off, and no line is lost', async (t) => {
  const path = join(folder, 'disk', 'events.jsonl');
  // As many files as there may be, in place of bytes.
  await run(['mount', '-o', 'remount,nr_inodes=3', join(folder, 'disk')]);
  const seen: LogStatus[] = [];
  const rotation = { maxBytes: 4000 };
  const log = JsonlWriter.open(path, { now: Date.now, randomBytes, rotation, onStatus: (status) => seen.push(status) });
  for (let number = 0; number < 12; number += 1) {
    log.append(body);
    await log.flushed();
  }
  t.regex(seen.at(-1)?.rotationProblem ?? '', /ENOSPC/);
  log.close();
  t.is(log.status.acknowledged, 12);
  t.like(inspectLog(path), { nextSequence: 13 });
});
