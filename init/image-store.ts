import { chmod, mkdir, mkdtemp, open, readdir, readFile, rename, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf, TapwardenError } from '../base/errors.ts';
import { withLock } from '../base/lock.ts';
import { assertFreeSpace, type Progress } from './build-step.ts';

/** How many images of a kind stay when a new one is built. */
const keptEntries = 3;

/** The longest time that one process waits for another that builds the same image. */
const lockTimeoutS = 30 * 60;

/** One entry of a store: a directory, named by the hash of all that went into it. */
export type StoreEntry = {
  /** The directory of all entries of a kind. Example: `/var/lib/tapwarden/images/guest`. */
  readonly store: string;
  /** Lower-case hexadecimal digits. */
  readonly hash: string;
  readonly onProgress: Progress;
  /** Whether an entry that is not there is built; otherwise it is an error. @default true */
  readonly mayBuild?: boolean;
  /** Whether only root may read it. @default false */
  readonly isPrivate?: boolean;
  /** Fills `directory`, which is empty and will be moved, whole, to its final place. */
  readonly build: (directory: string) => Promise<void>;
};

/**
 * Returns the directory of an entry, and builds it first if it is not there.
 *
 * An entry is there whole or not at all: it is built in a temporary directory beside and renamed. Of several processes
 * that want the same entry one builds it, and the others wait. Old entries go, but for the three used last and those
 * in use: a file in them on which any process holds a lock, as QEMU does on its disks.
 *
 * @throws IMAGE_NOT_FOUND when it is not there and may not be built
 * @throws DISK_FULL, LOCK_TIMEOUT, and what `build` throws
 */
export async function ensureEntry(entry: StoreEntry): Promise<string> {
  const directory = join(entry.store, entry.hash);
  if (await isUsed(directory)) return directory;
  if (entry.mayBuild === false) throw notBuilt(directory);
  await mkdir(entry.store, { recursive: true });
  const options = {
    timeoutS: lockTimeoutS,
    onWait: () => entry.onProgress('Waiting for another tapwarden process that builds an image'),
  };
  await withLock(join(entry.store, '.lock'), options, async () => {
    if (await isUsed(directory)) return;
    await removeUnfinished(entry.store);
    await assertFreeSpace(entry.store);
    const temporary = await mkdtemp(join(entry.store, unfinishedPrefix));
    try {
      await entry.build(temporary);
      await finish(
        temporary,
        entry.isPrivate === true ? { file: 0o600, folder: 0o700 } : { file: 0o644, folder: 0o755 },
      );
      await rename(temporary, directory);
    } finally {
      await rm(temporary, { recursive: true, force: true });
    }
    await removeOld(entry.store, entry.hash);
  });
  return directory;
}

/** The error of an image that is not there yet, where none may be built. */
export function notBuilt(directory: string): TapwardenError {
  return new TapwardenError('IMAGE_NOT_FOUND', {
    message: `${directory} is not built yet`,
    hint: "The first run builds it, and so does 'tapwarden doctor --build'.",
  });
}

const unfinishedPrefix = '.building-';

/** Says whether an entry is there, and marks it as used now, so that it is not among the old ones. */
async function isUsed(directory: string): Promise<boolean> {
  try {
    const now = new Date();
    await utimes(directory, now, now);
    return true;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false;
    throw error;
  }
}

/** Removes what builders left that were killed. Whoever holds the lock is the only builder. */
async function removeUnfinished(store: string): Promise<void> {
  for (const name of await readdir(store)) {
    if (name.startsWith(unfinishedPrefix)) await rm(join(store, name), { recursive: true, force: true });
  }
}

/**
 * Lets every user read what was built, unless it is private, whatever the umask, since the VMM reads its disks as a user of its own; and
 * writes it through to the disk, so that no power failure leaves a finished name on unfinished data.
 */
async function finish(directory: string, modes: { readonly file: number; readonly folder: number }): Promise<void> {
  await chmod(directory, modes.folder);
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) {
      await finish(path, modes);
    } else {
      await chmod(path, modes.file);
      const file = await open(path, 'r');
      await file.datasync().finally(() => file.close());
    }
  }
}

async function removeOld(store: string, keep: string): Promise<void> {
  const names = (await readdir(store)).filter((name) => /^[0-9a-f]+$/.test(name) && name !== keep);
  const entries = await Promise.all(
    names.map(async (name) => ({ directory: join(store, name), usedMs: (await stat(join(store, name))).mtimeMs })),
  );
  const old = entries.toSorted((a, b) => b.usedMs - a.usedMs).slice(keptEntries - 1);
  if (old.length === 0) return;
  const locked = parseLockedInodes(await readFile('/proc/locks', 'utf8'));
  for (const { directory } of old) {
    const files = await readdir(directory, { recursive: true });
    const inodes = await Promise.all(files.map(async (file) => (await stat(join(directory, file))).ino));
    if (!inodes.some((inode) => locked.has(inode))) await rm(directory, { recursive: true, force: true });
  }
}

/**
 * The inode numbers of all files on which a process holds a lock, from the text of `/proc/locks`. Devices are left
 * out, since some filesystems report another one there than stat(2) does: too much is kept rather than too little.
 *
 * Example line: `1: OFDLCK ADVISORY  READ -1 fe:00:412317 100 101`. Source: proc_locks(5)
 */
export function parseLockedInodes(locks: string): ReadonlySet<number> {
  return new Set([...locks.matchAll(/ [0-9a-f]+:[0-9a-f]+:(\d+) /g)].map((match) => Number(match[1])));
}
