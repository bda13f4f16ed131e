import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  errnoOf,
  integer,
  isTapwardenError,
  object,
  readShape,
  startTimeOf,
  TapwardenError,
  text,
  withLock,
} from '../base/index.ts';
import { lockFile, type Paths } from './paths.ts';
import { hasProcesses, type SandboxUsers } from './processes.ts';

/** What must be known of a sandbox to take it away, written before anything of it exists. */
export type SandboxRecord = {
  readonly id: string;
  /** A number that no other living sandbox has: its uids, and its address pair if it has one, follow from it. */
  readonly index: number;
  /** The process that made it, by pid and start time, so that a later process of the same pid is not taken for it. */
  readonly owner: { readonly pid: number; readonly startTime: string };
};

/** The form of a sandbox id. */
export const sandboxIdPattern = /^[a-z0-9][a-z0-9-]{0,31}$/;

const recordShape = object({
  id: text(32, sandboxIdPattern),
  index: integer(0, 32_767),
  owner: object({ pid: integer(1), startTime: text(32, /^\d+$/) }),
});

/** The first uid of the range, above those of users, system services and containers. Source: uid_gid(7) of systemd. */
const firstUid = 1_900_000_000;
const maxIndex = 32_767;

/** The two users of the sandbox with that index. */
export function usersOf(index: number): SandboxUsers {
  return { vmm: firstUid + 2 * index, channel: firstUid + 2 * index + 1 };
}

/**
 * The index at which a run directory begins to count. Each knows its own sandboxes only, and uids are the machine's: two
 * directories that both began at 0 would end each other's processes.
 */
export function firstIndexOf(paths: Paths): number {
  return createHash('sha256').update(paths.runDir).digest().readUInt16BE(0) & maxIndex;
}

/** The folder of a sandbox in the run directory. */
export function sandboxFolder(paths: Paths, id: string): string {
  return join(paths.runDir, id);
}

/**
 * Checks a sandbox id: 1 to 32 characters `[a-z0-9-]`, the first no hyphen.
 *
 * @throws NAME_INVALID
 */
export function checkSandboxId(id: string): string {
  if (sandboxIdPattern.test(id)) return id;
  throw new TapwardenError('NAME_INVALID', {
    message: `A sandbox id is 1 to 32 characters a-z, 0-9 and "-", the first no "-": current value is ${JSON.stringify(id.slice(0, 80))}`,
  });
}

/**
 * Claims a sandbox id, with an index of its own, and writes its record. All or nothing: the folder appears with the
 * record in it.
 *
 * @throws SANDBOX_EXISTS when the id is taken
 * @throws POOL_EXHAUSTED when no index is free
 */
export async function claimSandbox(paths: Paths, id: string): Promise<SandboxRecord> {
  checkSandboxId(id);
  return await withLock(lockFile(paths), {}, async () => {
    const taken = new Set((await listSandboxes(paths)).map((entry) => entry.record?.index));
    const first = firstIndexOf(paths);
    let steps = 0;
    const at = (step: number): number => (first + step) % (maxIndex + 1);
    // Of another run directory's sandboxes nothing is known here but their processes.
    while (steps <= maxIndex && (taken.has(at(steps)) || hasProcesses(usersOf(at(steps))))) steps += 1;
    const index = at(steps);
    if (steps > maxIndex) {
      throw new TapwardenError('POOL_EXHAUSTED', {
        message: `${maxIndex + 1} sandboxes exist already`,
        hint: "Stop some, or run 'tapwarden gc' if they are left over.",
      });
    }
    const record: SandboxRecord = {
      id,
      index,
      owner: { pid: process.pid, startTime: (await startTimeOf(process.pid)) ?? '0' },
    };
    const fresh = join(paths.runDir, `.new-${process.pid}`);
    await rm(fresh, { recursive: true, force: true });
    await mkdir(fresh, { recursive: true, mode: 0o711 });
    await writeFile(join(fresh, 'record.json'), JSON.stringify(record), { mode: 0o600 });
    try {
      await rename(fresh, sandboxFolder(paths, id));
    } catch (cause) {
      await rm(fresh, { recursive: true, force: true });
      if (errnoOf(cause) !== 'ENOTEMPTY' && errnoOf(cause) !== 'EEXIST') throw cause;
      throw new TapwardenError('SANDBOX_EXISTS', {
        message: `The sandbox ${id} exists already`,
        hint: "Choose another id, or run 'tapwarden gc' if it is left over.",
        cause,
      });
    }
    return record;
  });
}

/** Removes a sandbox's folder, and the run directory with the last one. */
export async function releaseSandbox(paths: Paths, id: string): Promise<void> {
  await rm(sandboxFolder(paths, id), { recursive: true, force: true });
  await rmdir(paths.runDir).catch((error: unknown) => {
    if (errnoOf(error) !== 'ENOTEMPTY' && errnoOf(error) !== 'ENOENT') throw error;
  });
}

/** A folder of the run directory; without a record where it cannot be read. */
export type SandboxEntry = { readonly name: string; readonly record: SandboxRecord | undefined };

/** All sandboxes that the run directory knows, claims that were cut off included. */
export async function listSandboxes(paths: Paths): Promise<readonly SandboxEntry[]> {
  const names = await readdir(paths.runDir).catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  });
  return await Promise.all(
    names.map(async (name) => {
      const record = await readRecord(join(paths.runDir, name, 'record.json'));
      return { name, record: record?.id === name ? record : undefined };
    }),
  );
}

/** Whether the process that made the sandbox still lives. */
export async function isOwned(record: SandboxRecord): Promise<boolean> {
  return (await startTimeOf(record.owner.pid)) === record.owner.startTime;
}

async function readRecord(path: string): Promise<SandboxRecord | undefined> {
  try {
    return readShape(recordShape, JSON.parse(await readFile(path, 'utf8')), `The record ${path}`, 'BUG');
  } catch (error) {
    if (error instanceof SyntaxError || errnoOf(error) !== undefined || isTapwardenError(error)) return undefined;
    throw error;
  }
}
