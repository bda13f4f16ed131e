import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { errnoOf, messageOf } from '../../base/index.ts';
import { maxLineBytes } from '../line-cap.ts';
import { sequenceOf } from './event-line.ts';
import { listRotated, type RotatedFile } from './rotated.ts';
import { unwritable } from './unwritable.ts';

/** A last line that was not written to its end: where it starts, and how long it is, in bytes. */
export type Torn = { readonly offset: number; readonly bytes: number };

/** What the end of an event log says. */
export type LogEnd = {
  /** The `metadata.sequence` that comes next, from 1. */
  readonly nextSequence: number;
  /** That of the live file's first event; without one, `nextSequence`. */
  readonly firstSequence: number;
  readonly torn?: Torn;
  /** The newest rotated file, where it has a torn last line: its writer was killed before it went over to the next. */
  readonly tornRotated?: { readonly path: string; readonly torn: Torn };
};

/** How every line of a log begins, because `finish` puts the time first. */
const lineStart = Buffer.from('{"time":');
const newline = 0x0a;

/**
 * Reads the end of the log `path` and changes nothing. A log without a file starts at 1.
 *
 * Of the files' content it reads the first and the last two lines alone, and of these only the sequence numbers.
 *
 * @throws EVENTS_UNWRITABLE when a file cannot be read, is no regular file, or does not end in an event
 */
export function inspectLog(path: string): LogEnd {
  const fd = openToRead(path);
  if (fd === undefined) return endOfLog(undefined, path);
  try {
    return endOfLog(fd, path);
  } finally {
    closeSync(fd);
  }
}

/** The same for a live file that is open. */
export function endOfLog(fd: number | undefined, path: string): LogEnd {
  const live = fd === undefined ? {} : endOfFile(fd, path);
  const torn = live.torn === undefined ? {} : { torn: live.torn };
  if (live.last !== undefined) {
    return { nextSequence: live.last + 1, firstSequence: live.first ?? live.last, ...torn };
  }
  // Right after a rotation the live file has no line that says where the log stands.
  const newest = newestRotated(path, fd);
  if (newest === undefined) return { nextSequence: 1, firstSequence: 1, ...torn };
  const end = endOfRotated(newest);
  const nextSequence = end.last === undefined ? newest.firstSequence : end.last + 1;
  return {
    nextSequence,
    firstSequence: nextSequence,
    ...torn,
    ...(end.torn === undefined ? {} : { tornRotated: { path: newest.path, torn: end.torn } }),
  };
}

/** The bytes of an open file from `position` on, at most `length`. */
export function readAt(fd: number, position: number, length: number): Buffer {
  const buffer = Buffer.alloc(length);
  let filled = 0;
  while (filled < length) {
    const count = readSync(fd, buffer, filled, length - filled, position + filled);
    if (count === 0) break;
    filled += count;
  }
  return buffer.subarray(0, filled);
}

function openToRead(path: string): number | undefined {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (cause) {
    if (errnoOf(cause) === 'ENOENT') return undefined;
    throw unwritable(path, messageOf(cause), cause);
  }
}

/** The newest rotated file that is not the live one under a second name, as in the midst of a rotation. */
function newestRotated(path: string, fd: number | undefined): RotatedFile | undefined {
  const live = fd === undefined ? undefined : fstatSync(fd).ino;
  return listRotated(path).findLast((file) => {
    const other = openToRead(file.path);
    if (other === undefined) return false;
    const { ino } = fstatSync(other);
    closeSync(other);
    return ino !== live;
  });
}

function endOfRotated({ path }: RotatedFile): FileEnd {
  const fd = openToRead(path);
  if (fd === undefined) return {};
  try {
    return endOfFile(fd, path);
  } finally {
    closeSync(fd);
  }
}

/** Sequence numbers of the first and the last whole line of a file, and what stands behind it. */
type FileEnd = { readonly first?: number; readonly last?: number; readonly torn?: Torn };

function endOfFile(fd: number, path: string): FileEnd {
  const stat = fstatSync(fd);
  if (!stat.isFile()) throw unwritable(path, 'it is not a regular file');
  if (stat.size === 0) return {};
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
  const torn = rest.length === 0 ? {} : { torn: { offset: start + lastNewline + 1, bytes: rest.length } };
  if (lastNewline === -1) return torn;
  const head = readAt(fd, 0, maxLineBytes);
  const firstNewline = head.indexOf(newline);
  if (firstNewline === -1) throw unwritable(path, `it begins with a line of more than ${maxLineBytes} bytes`);
  return {
    last: sequenceIn(lastLine(tail.subarray(0, lastNewline)), path, 'last whole'),
    first: sequenceIn(head.subarray(0, firstNewline).toString('utf8'), path, 'first'),
    ...torn,
  };
}

function lastLine(text: Buffer): string {
  return text.subarray(text.lastIndexOf(newline) + 1).toString('utf8');
}

function sequenceIn(line: string, path: string, which: string): number {
  let event: unknown;
  try {
    event = JSON.parse(line);
  } catch (cause) {
    throw unwritable(path, `its ${which} line is not JSON`, cause);
  }
  const sequence = sequenceOf(event);
  if (sequence === undefined) throw unwritable(path, `its ${which} line has no metadata.sequence`);
  return sequence;
}
