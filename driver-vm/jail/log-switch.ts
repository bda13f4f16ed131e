import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import {
  errnoOf,
  integer,
  isTapwardenError,
  list,
  object,
  readShape,
  type ShapeOf,
  startTimeOf,
  text,
  withLock,
} from '../../base/index.ts';

/** The switch, and the files by which all of tapwarden on this machine share it, whatever their run directories. */
export type LogSwitchPaths = {
  readonly value: string;
  /** Who holds the switch and what it was before; gone when nobody does. */
  readonly record: string;
  readonly lock: string;
};

/** Those of the machine. */
export const logSwitchPaths: LogSwitchPaths = {
  value: '/proc/sys/net/netfilter/nf_log_all_netns',
  record: '/run/tapwarden-log-switch.json',
  lock: '/run/tapwarden-log-switch.lock',
};

const recordShape = object({
  /** The boot that it is of: a switch is as it was before after the next one. */
  boot: text(64),
  former: text(32, /^\d+$/),
  holders: list(object({ id: text(32), pid: integer(1), startTime: text(32, /^\d+$/) }), 100_000),
});

type LogSwitchRecord = ShapeOf<typeof recordShape>;

/**
 * Lets rules log that are not in the kernel's first network namespace, for as long as the sandbox lives: the switch is the
 * whole machine's, so those who need it are counted, and the last one puts back what was before the first.
 *
 * Says whether such rules log now: not where there is no switch, as in a container that has a network namespace of its
 * own, or where it may not be written.
 *
 * @throws LOCK_TIMEOUT when another process holds the lock for too long
 */
export async function holdLogSwitch(id: string, paths: LogSwitchPaths = logSwitchPaths): Promise<boolean> {
  if ((await readValue(paths)) === undefined) return false;
  return await withLock(paths.lock, {}, async () => {
    const value = (await readValue(paths)) ?? '0';
    const record = await livingPart(await readRecord(paths));
    const holder = { id, pid: process.pid, startTime: (await startTimeOf(process.pid)) ?? '0' };
    // On disk before the switch is set, so that it is put back after a kill at any moment.
    await writeRecord(paths, {
      boot: await bootId(),
      former: record?.former ?? value,
      holders: [...(record?.holders ?? []), holder],
    });
    if (await setValue(paths, '1')) return true;
    await letGo(paths, id);
    return false;
  });
}

/** Lets the switch go; one that this sandbox does not hold stays as it is. */
export async function releaseLogSwitch(id: string, paths: LogSwitchPaths = logSwitchPaths): Promise<void> {
  if ((await readRecord(paths)) === undefined) return;
  await withLock(paths.lock, {}, async () => await letGo(paths, id));
}

/** Lets the switch go for all whose process is gone, as after a `kill -9`. */
export async function collectLogSwitch(paths: LogSwitchPaths = logSwitchPaths): Promise<void> {
  if ((await readRecord(paths)) === undefined) return;
  await withLock(paths.lock, {}, async () => await letGo(paths, undefined));
}

async function letGo(paths: LogSwitchPaths, id: string | undefined): Promise<void> {
  const record = await readRecord(paths);
  if (record === undefined) return;
  const living = (await livingPart(record))?.holders ?? [];
  const holders = living.filter((holder) => holder.id !== id || holder.pid !== process.pid);
  if (holders.length > 0) return await writeRecord(paths, { ...record, holders });
  // Whoever set it to something else meanwhile wants it so.
  if ((await readValue(paths)) === '1') await setValue(paths, record.former);
  await rm(paths.record, { force: true });
}

/** The record without those who are gone. */
async function livingPart(record: LogSwitchRecord | undefined): Promise<LogSwitchRecord | undefined> {
  if (record === undefined) return undefined;
  const living = await Promise.all(
    record.holders.map(async ({ pid, startTime }) => (await startTimeOf(pid)) === startTime),
  );
  return { ...record, holders: record.holders.filter((_, at) => living[at]) };
}

/** The record of this boot; `undefined` where there is none that can be read. */
async function readRecord(paths: LogSwitchPaths): Promise<LogSwitchRecord | undefined> {
  try {
    const written: unknown = JSON.parse(await readFile(paths.record, 'utf8'));
    const record = readShape(recordShape, written, `The record ${paths.record}`, 'BUG');
    return record.boot === (await bootId()) ? record : undefined;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || error instanceof SyntaxError || isTapwardenError(error)) return undefined;
    throw error;
  }
}

async function writeRecord(paths: LogSwitchPaths, record: LogSwitchRecord): Promise<void> {
  const fresh = `${paths.record}.new`;
  await writeFile(fresh, JSON.stringify(record), { mode: 0o600 });
  await rename(fresh, paths.record);
}

async function bootId(): Promise<string> {
  return (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
}

async function readValue(paths: LogSwitchPaths): Promise<string | undefined> {
  try {
    return (await readFile(paths.value, 'utf8')).trim();
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

async function setValue(paths: LogSwitchPaths, value: string): Promise<boolean> {
  // Where all of /proc/sys is read-only, it may be set all the same.
  await writeFile(paths.value, value).catch(() => undefined);
  return (await readValue(paths)) === value;
}
