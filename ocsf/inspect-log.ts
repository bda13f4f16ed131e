import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { errnoOf, messageOf, TapwardenError } from '../base/index.ts';
import { maxLineBytes } from './line-cap.ts';

/** What the end of an event log says. */
export type LogEnd = {
  /** The `metadata.sequence` that comes next, from 1. */
  readonly nextSequence: number;
  /** A last line that was not written to its end: where it starts, and how long it is, in bytes. */
  readonly torn?: { readonly offset: number; readonly bytes: number };
};

/** An event log that is ready to be appended to. */
export type PreparedLog = {
  /** Open for appending. The caller closes it, or hands it to `EventLog.fromFd`. */
  readonly fd: number;
  readonly nextSequence: number;
  /** The file into which a torn last line was moved. */
  readonly torn?: string;
};

/** How every line of a log begins, because `finish` puts the time first. */
const lineStart = Buffer.from('{"time":');
const newline = 0x0a;

/**
 * Reads the end of the log `path` and changes nothing. A file that is not there or is empty starts at 1.
 *
 * Of the file's content it reads the last two lines alone, and of these only the sequence number.
 *
 * @throws EVENTS_UNWRITABLE when the file cannot be read, is no regular file, or does not end in an event
 */
export function inspectLog(path: string): LogEnd {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (cause) {
    if (errnoOf(cause) === 'ENOENT') return { nextSequence: 1 };
    throw unwritable(path, messageOf(cause), cause);
  }
  try {
    return endOf(fd, path);
  } finally {
    closeSync(fd);
  }
}

/**
 * Makes the log `path` ready: creates it with mode 0600 and its directory with 0700 where they are not there, moves a
 * torn last line to `<path>.torn-<time>`, and opens the log. The modes of what exists stay. A privileged process runs
 * it and passes `fd` and `nextSequence` to the unprivileged one that writes.
 *
 * @param now epoch milliseconds
 * @throws EVENTS_UNWRITABLE when any of this fails, or the file is not a log of ours
 */
export function prepareLog(path: string, now: number): PreparedLog {
  let fd: number;
  try {
    makeFolder(dirname(path));
    const flags =
      constants.O_RDWR | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW | constants.O_NONBLOCK;
    fd = openSync(path, flags, 0o600);
  } catch (cause) {
    throw unwritable(path, messageOf(cause), cause);
  }
  try {
    const { nextSequence, torn } = endOf(fd, path);
    if (torn === undefined) return { fd, nextSequence };
    return { fd, nextSequence, torn: moveTorn(fd, path, torn, now) };
  } catch (cause) {
    closeSync(fd);
    throw cause instanceof TapwardenError ? cause : unwritable(path, messageOf(cause), cause);
  }
}

/** Like `mkdir -p`. Node's own `recursive` never comes back from a place like /proc, where each level is refused anew. */
function makeFolder(path: string): void {
  if (existsSync(path)) return;
  makeFolder(dirname(path));
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    // Another run may have made it in the meantime.
    if (errnoOf(error) !== 'EEXIST') throw error;
  }
}

/** @throws EVENTS_UNWRITABLE for `path`, always with the same hint */
export function unwritable(path: string, problem: string, cause?: unknown): TapwardenError {
  return new TapwardenError('EVENTS_UNWRITABLE', {
    message: `The event log ${path} cannot be written: ${problem}`,
    hint: 'Name a file on a disk with free space that is new or was written by tapwarden.',
    details: { path },
    cause,
  });
}

function endOf(fd: number, path: string): LogEnd {
  const stat = fstatSync(fd);
  if (!stat.isFile()) throw unwritable(path, 'it is not a regular file');
  if (stat.size === 0) return { nextSequence: 1 };
  const start = Math.max(0, stat.size - 2 * maxLineBytes);
  const tail = readAt(fd, start, stat.size - start);
  const lastNewline = tail.lastIndexOf(newline);
  if (lastNewline === -1 && start > 0)
    throw unwritable(path, `it ends in a line of more than ${2 * maxLineBytes} bytes`);
  const rest = tail.subarray(lastNewline + 1);
  const compared = Math.min(rest.length, lineStart.length);
  if (!rest.subarray(0, compared).equals(lineStart.subarray(0, compared))) {
    throw unwritable(path, 'its last line is not the beginning of an event');
  }
  const nextSequence = lastNewline === -1 ? 1 : sequenceOf(lastLine(tail.subarray(0, lastNewline)), path) + 1;
  if (rest.length === 0) return { nextSequence };
  return { nextSequence, torn: { offset: start + lastNewline + 1, bytes: rest.length } };
}

function lastLine(text: Buffer): string {
  return text.subarray(text.lastIndexOf(newline) + 1).toString('utf8');
}

function sequenceOf(line: string, path: string): number {
  let event: unknown;
  try {
    event = JSON.parse(line);
  } catch (cause) {
    throw unwritable(path, 'its last whole line is not JSON', cause);
  }
  const metadata = memberOf(event, 'metadata');
  const sequence = memberOf(metadata, 'sequence');
  if (typeof sequence === 'number' && Number.isSafeInteger(sequence) && sequence >= 1) return sequence;
  throw unwritable(path, 'its last whole line has no metadata.sequence');
}

function memberOf(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, key) ? Reflect.get(value, key) : undefined;
}

function moveTorn(fd: number, path: string, torn: { offset: number; bytes: number }, now: number): string {
  const aside = `${path}.torn-${new Date(now).toISOString().replaceAll(/[:-]/g, '')}`;
  const asideFd = openSync(aside, 'wx', 0o600);
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

function readAt(fd: number, position: number, length: number): Buffer {
  const buffer = Buffer.alloc(length);
  let filled = 0;
  while (filled < length) {
    const count = readSync(fd, buffer, filled, length - filled, position + filled);
    if (count === 0) break;
    filled += count;
  }
  return buffer.subarray(0, filled);
}

/** Writes all of `bytes`, however few a call takes. */
export function writeAll(fd: number, bytes: Uint8Array, onWritten: (count: number) => void = () => {}): void {
  for (let written = 0; written < bytes.length; ) {
    const count = writeSync(fd, bytes, written);
    written += count;
    onWritten(count);
  }
}
