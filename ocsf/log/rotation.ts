import {
  closeSync,
  constants,
  existsSync,
  fsyncSync,
  linkSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  unlinkSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { errnoOf } from '../../base/index.ts';
import { listRotated, rotatedPath } from './rotated.ts';

/** How long a log's rotated files are kept. What exceeds any of the bounds is removed, the oldest first. */
export type Retention = {
  /** Rotated files, beside the live one. */
  readonly files?: number;
  /** Bytes of all rotated files together. */
  readonly bytes?: number;
  /** Days since the last line of a file was written. */
  readonly days?: number;
};

/** When a log is rotated, and what is kept of it. */
export type Rotation = {
  /** Bytes from which on a file is rotated. It is longer by what is written until then: a batch of lines. */
  readonly maxBytes: number;
  /** Rotate before the first line of a new day, UTC. @default true */
  readonly daily?: boolean;
  readonly retention?: Retention;
};

/** What a rotation is decided from. */
export type FileState = { readonly bytes: number; readonly lastWritten: number };

const dayMs = 24 * 60 * 60 * 1000;

/** Whether the file is to be rotated before the next line. One without a line never is. Times are epoch milliseconds. */
export function isRotationDue(rotation: Rotation, file: FileState, now: number): boolean {
  if (file.bytes === 0) return false;
  if (file.bytes >= rotation.maxBytes) return true;
  return rotation.daily !== false && Math.floor(file.lastWritten / dayMs) < Math.floor(now / dayMs);
}

/** The flags of a log that is opened to be written. */
export const appendFlags = constants.O_APPEND | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/**
 * Gives the live file its rotated name and makes an empty one, whose descriptor it returns. Errors are the system's; the
 * live file stays where it is then.
 */
export function rotateLog(path: string, firstSequence: number): number {
  const next = newPath(path);
  rmSync(next, { force: true });
  const fd = openSync(next, appendFlags | constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o600);
  try {
    putInPlace(path, next, firstSequence);
    return fd;
  } catch (error) {
    closeSync(fd);
    rmSync(next, { force: true });
    throw error;
  }
}

/** Rotates the log `path` from within the process that writes it, and removes what is not to be kept. */
export function rotateIn(path: string, rotation: Rotation | undefined, now: () => number) {
  return (firstSequence: number): number => {
    const next = rotateLog(path, firstSequence);
    try {
      applyRetention(path, rotation?.retention ?? {}, now());
    } catch {
      // It has been rotated. What could not be removed is removed with the next file, or stays.
    }
    return next;
  };
}

/** Where a new live file is made before it takes its place. */
export const newPath = (path: string): string => `${path}.new`;

/**
 * Puts the file `next` in the place of the log `path`, which gets its rotated name. There is a file at `path` at all
 * times, and no file is overwritten: a rotated name that is taken is EEXIST. After a crash the live file may have both
 * names, which `prepareLog` sets right.
 */
export function putInPlace(path: string, next: string, firstSequence: number): void {
  const rotated = rotatedPath(path, firstSequence);
  giveSecondName(path, rotated);
  try {
    renameSync(next, path);
  } catch (error) {
    if (existsSync(path)) unlinkSync(rotated);
    else renameSync(rotated, path);
    throw error;
  }
  syncFolder(dirname(path));
}

/** Brings the names of a folder's files to the disk. */
export function syncFolder(folder: string): void {
  const fd = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Removes what is beyond the bounds, and returns the paths that are gone. Errors are the system's. */
export function applyRetention(path: string, retention: Retention, now: number): readonly string[] {
  let files = 0;
  let bytes = 0;
  let isFull = false;
  const beyond = [...listRotated(path)].reverse().filter((file) => {
    const { size, mtimeMs } = statSync(file.path);
    files += 1;
    bytes += size;
    // Once one is too many, all that are older are, so that what is kept has no hole.
    isFull ||= files > (retention.files ?? Number.POSITIVE_INFINITY);
    isFull ||= bytes > (retention.bytes ?? Number.POSITIVE_INFINITY);
    isFull ||= now - mtimeMs > (retention.days ?? Number.POSITIVE_INFINITY) * dayMs;
    return isFull;
  });
  // The oldest first, so that a kill leaves no hole either.
  return beyond.reverse().map((file) => {
    unlinkSync(file.path);
    return file.path;
  });
}

function giveSecondName(path: string, rotated: string): void {
  try {
    linkSync(path, rotated);
  } catch (error) {
    const code = errnoOf(error);
    // Somebody removed the live file: nothing is to be kept.
    if (code === 'ENOENT' && !existsSync(path)) return;
    if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'].includes(code ?? '') || existsSync(rotated))
      throw error;
    // A file system without hard links.
    renameSync(path, rotated);
  }
}
