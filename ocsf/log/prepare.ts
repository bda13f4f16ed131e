import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  rmSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { errnoOf, messageOf, TapwardenError } from '../../base/index.ts';
import { endOfLog, readAt, type Torn } from './log-end.ts';
import { listRotated } from './rotated.ts';
import {
  appendFlags,
  applyRetention,
  isRotationDue,
  newPath,
  type Rotation,
  rotateLog,
  syncFolder,
} from './rotation.ts';
import { unwritable } from './unwritable.ts';

/** An event log that is ready to be appended to. */
export type PreparedLog = {
  /** Open for appending. The caller closes it, or hands it to `JsonlWriter.fromFd`. */
  readonly fd: number;
  readonly nextSequence: number;
  /** The sequence number of the file's first event, after which it is named when it is rotated. */
  readonly firstSequence: number;
  /** The file into which a torn last line was moved. */
  readonly torn?: string;
};

/**
 * Makes the log `path` ready: creates it with mode 0600 and its directory with 0700 where they are not there, sets right
 * what a killed rotation left, moves a torn last line to `<path>.torn-<time>`, rotates where `rotation` says so, removes
 * what is not to be kept, and opens the log. The modes of what exists stay. A privileged process runs it and passes the
 * descriptor and the numbers to the unprivileged one that writes. Nobody else may write the log meanwhile.
 *
 * @param now epoch milliseconds
 * @throws EVENTS_UNWRITABLE when any of this fails, or the file is not a log of ours
 */
export function prepareLog(path: string, now: number, rotation?: Rotation): PreparedLog {
  let fd: number | undefined;
  try {
    fd = openLive(path);
    const file = fstatSync(fd);
    const end = endOfLog(fd, path);
    forgetHalfRotation(path, file);
    const torn = end.torn === undefined ? undefined : moveTorn(fd, path, end.torn, now);
    const before = end.tornRotated === undefined ? undefined : moveTornOf(path, end.tornRotated, now);
    const { nextSequence } = end;
    const aside = torn ?? before;
    const prepared = {
      fd,
      nextSequence,
      firstSequence: end.firstSequence,
      ...(aside === undefined ? {} : { torn: aside }),
    };
    const state = { bytes: fstatSync(fd).size, lastWritten: file.mtimeMs };
    if (rotation === undefined) return prepared;
    const isDue = isRotationDue(rotation, state, now);
    if (isDue) {
      prepared.fd = rotateLog(path, end.firstSequence);
      prepared.firstSequence = nextSequence;
      closeSync(fd);
    }
    fd = prepared.fd;
    applyRetention(path, rotation.retention ?? {}, now);
    return prepared;
  } catch (cause) {
    if (fd !== undefined) closeSync(fd);
    throw cause instanceof TapwardenError ? cause : unwritable(path, messageOf(cause), cause);
  }
}

/** Like `mkdir -p`. Node's own `recursive` never comes back from a place like /proc, where each level is refused anew. */
export function makeLogFolder(path: string): void {
  if (existsSync(path)) return;
  makeLogFolder(dirname(path));
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    // Another run may have made it in the meantime.
    if (errnoOf(error) !== 'EEXIST') throw error;
  }
}

function openLive(path: string): number {
  makeLogFolder(dirname(path));
  const flags = appendFlags | constants.O_RDWR;
  try {
    return openSync(path, flags, 0o600);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
  }
  const fd = openSync(path, flags | constants.O_CREAT, 0o600);
  // Or a power loss could take the file away, and with it lines that were on the disk.
  syncFolder(dirname(path));
  return fd;
}

/** Takes back a rotation that was killed before the next file was in place. */
function forgetHalfRotation(path: string, live: { readonly dev: number; readonly ino: number }): void {
  rmSync(newPath(path), { force: true });
  const newest = listRotated(path).at(-1);
  if (newest === undefined) return;
  const { dev, ino } = statSync(newest.path);
  if (dev === live.dev && ino === live.ino) unlinkSync(newest.path);
}

function moveTornOf(path: string, rotated: { readonly path: string; readonly torn: Torn }, now: number): string {
  const fd = openSync(rotated.path, constants.O_RDWR | constants.O_NOFOLLOW);
  try {
    return moveTorn(fd, path, rotated.torn, now);
  } finally {
    closeSync(fd);
  }
}

function moveTorn(fd: number, path: string, torn: Torn, now: number): string {
  const { aside, asideFd } = openAside(path, now);
  try {
    writeAll(asideFd, readAt(fd, torn.offset, torn.bytes));
    fsyncSync(asideFd);
  } finally {
    closeSync(asideFd);
  }
  // Only now, so that the bytes are on the disk twice rather than nowhere.
  ftruncateSync(fd, torn.offset);
  return aside;
}

function openAside(path: string, now: number): { readonly aside: string; readonly asideFd: number } {
  const name = `${path}.torn-${new Date(now).toISOString().replaceAll(/[:-]/g, '')}`;
  for (let number = 1; ; number += 1) {
    const aside = number === 1 ? name : `${name}-${number}`;
    try {
      return { aside, asideFd: openSync(aside, 'wx', 0o600) };
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST' || number === 100) throw error;
    }
  }
}

function writeAll(fd: number, bytes: Uint8Array): void {
  for (let written = 0; written < bytes.length; ) written += writeSync(fd, bytes, written);
}
