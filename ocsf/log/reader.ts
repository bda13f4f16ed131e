import { errnoOf, messageOf, TapwardenError } from '../../base/index.ts';
import { watchLog } from './changes.ts';
import { sequenceOfLine } from './event-line.ts';
import type { LogLine } from './line-splitter.ts';
import { inodeAt, LogFile } from './log-file.ts';
import { listRotated, type RotatedFile } from './rotated.ts';

/**
 * A place in a log, behind a line. Plain data that can be stored: it holds after the log was rotated, copied or read by
 * another process. Example: `{file: '5f0c…', offset: 3120, line: 1, sequence: 1}`.
 */
export type LogPosition = {
  /** A digest of the first line of the file. */
  readonly file: string;
  /** Bytes before the place, in its file. */
  readonly offset: number;
  /** Lines before the place in its file, as far as they were counted: `from: 'end'` begins to count where it begins. */
  readonly line: number;
  /** `metadata.sequence` of the event before the place, where it has one. */
  readonly sequence?: number;
};

/** What {@link readLog} yields: lines of one file, in order, or what a reader should know. */
export type LogPiece =
  | {
      readonly kind: 'lines';
      readonly path: string;
      readonly lines: readonly [LogLine, ...LogLine[]];
      /** Behind the last of the lines; `undefined` where there is nothing to come back to, as in a pipe. */
      readonly position: LogPosition | undefined;
    }
  | {
      readonly kind: 'notice';
      /**
       * `gone`: the file of the position is not there any more. `gap`: sequence numbers are missing between two files.
       * `truncated`: lines that had been read were taken out of a file. `replaced`: the log is another file all at once.
       */
      readonly reason: 'gone' | 'gap' | 'truncated' | 'replaced';
      /** One sentence for a person. */
      readonly message: string;
    };

/** How a log is read. */
export type ReadOptions = {
  /** Where to begin: behind this place, or behind what is there now. Without it at the oldest line there is. */
  readonly from?: LogPosition | 'end' | undefined;
  /** Wait for more at the end of the log, also for the log itself. @default false */
  readonly follow?: boolean;
  /** Ends the reading, as if the log had ended. */
  readonly signal?: AbortSignal;
};

/**
 * Reads an event log and the files it was rotated to, in the order of their writing, in bounded memory. It yields whole
 * lines only. What stands behind the last newline comes at the end as `unfinished`; with `follow` it is held back until
 * its newline comes, and when the log goes on in the next file, it is `broken`.
 *
 * @throws FILE_UNREADABLE when a file cannot be read, or without `follow` when there is no log
 */
export async function* readLog(path: string, options: ReadOptions = {}): AsyncGenerator<LogPiece, void> {
  const changes = options.follow === true ? watchLog(path, options.signal) : undefined;
  let file: LogFile | undefined;
  let next: LogFile | undefined;
  try {
    file = await openAt(path, options.from);
    if (typeof options.from === 'object') {
      if (file === undefined) yield notice('gone', `the file that was read last is no file of ${path} any more`);
      else yield* lookAgain(file);
      file ??= await openOldest(path);
      if (file?.start.offset === 0) yield* sayGap(path, options.from.sequence, await firstSequenceOf(file));
    }
    while (options.signal?.aborted !== true) {
      if (file === undefined) {
        if (changes === undefined) throw missing(path);
        await changes.wait();
        file = await openOldest(path);
        continue;
      }
      if (yield* readOn(file)) continue;
      next = await successorOf(path, file);
      if (next === undefined) {
        if (changes === undefined || !file.seekable) return yield* lastWords(file);
        await changes.wait();
        yield* lookAgain(file);
        continue;
      }
      // The next file was begun after the last line of this one, so what is read now is all of it.
      yield* lookAgain(file);
      while (yield* readOn(file));
      yield* goOver(path, file, next);
      await file.close();
      [file, next] = [next, undefined];
    }
  } catch (error) {
    throw error instanceof TapwardenError ? error : unreadable(path, error);
  } finally {
    await file?.close();
    await next?.close();
    changes?.close();
  }
}

/** The position behind a line of a piece that is not its last, for a reader that stops there. */
export function positionBehind(piece: Extract<LogPiece, { kind: 'lines' }>, line: LogLine): LogPosition | undefined {
  if (piece.position === undefined) return undefined;
  const sequence = sequenceOfLine(line);
  return {
    file: piece.position.file,
    offset: line.end,
    line: line.kind === 'unfinished' ? line.number - 1 : line.number,
    ...(sequence === undefined || line.kind === 'unfinished' ? {} : { sequence }),
  };
}

/** Yields the lines that come next in a file, and returns whether there were any. */
async function* readOn(file: LogFile): AsyncGenerator<LogPiece, boolean> {
  const [first, ...more] = await file.read();
  if (first === undefined) return false;
  yield { kind: 'lines', path: file.path, lines: [first, ...more], position: await positionIn(file) };
  return true;
}

async function positionIn(file: LogFile): Promise<LogPosition | undefined> {
  const identity = await file.identity();
  if (identity === undefined) return undefined;
  const sequence = file.lastSequence;
  return { file: identity, ...file.start, ...(sequence === undefined ? {} : { sequence }) };
}

async function* lastWords(file: LogFile): AsyncGenerator<LogPiece, void> {
  const rest = file.unfinished();
  if (rest !== undefined) yield { kind: 'lines', path: file.path, lines: [rest], position: await positionIn(file) };
}

/** Looks for more behind the end of a file, which may have been cut meanwhile. */
async function* lookAgain(file: LogFile): AsyncGenerator<LogPiece, void> {
  const before = file.start.offset;
  if (!(await file.lookAgain())) return;
  const now = file.start.offset;
  yield notice('truncated', `${file.path} was cut from ${before} bytes, and is read on from byte ${now}`);
}

/** What is to be said between the end of a file and the beginning of the next. */
async function* goOver(path: string, last: LogFile, next: LogFile): AsyncGenerator<LogPiece, void> {
  const torn = last.breakOff();
  if (torn !== undefined) yield { kind: 'lines', path: last.path, lines: [torn], position: await positionIn(last) };
  const [before, after] = [last.lastSequence, await firstSequenceOf(next)];
  if (before !== undefined && after !== undefined) return yield* sayGap(path, before, after);
  const rotated = listRotated(path);
  const inodes = await inodesOf(rotated.map((file) => file.path));
  if (!inodes.includes(last.inode)) yield notice('replaced', `${path} was replaced by another file`);
}

function* sayGap(path: string, before: number | undefined, after: number | undefined): Generator<LogPiece, void> {
  if (before === undefined || after === undefined) return;
  if (after > before + 1) yield notice('gap', `the events ${before + 1} to ${after - 1} of ${path} are not there`);
  if (after <= before) yield notice('replaced', `${path} was replaced: event ${after} follows event ${before}`);
}

/** Opens the file that `from` names; `undefined` where the log has no such file. */
async function openAt(path: string, from: ReadOptions['from']): Promise<LogFile | undefined> {
  if (from === undefined) return await openOldest(path);
  if (from === 'end') {
    const file = await LogFile.open(path);
    if (file?.seekable === true) await file.seekEnd();
    return file;
  }
  for (;;) {
    const rotated = listRotated(path);
    // The newest first, because that is where most readers stopped.
    for (const candidate of [path, ...rotated.map((file) => file.path).reverse()]) {
      const file = await LogFile.open(candidate);
      if (file !== undefined && (await file.identity()) === from.file) {
        file.seek(from);
        file.lastSequence = from.sequence;
        return file;
      }
      await file?.close();
    }
    if (isStill(path, rotated)) return undefined;
  }
}

async function openOldest(path: string): Promise<LogFile | undefined> {
  for (;;) {
    const rotated = listRotated(path);
    const file = await LogFile.open(rotated[0]?.path ?? path);
    if (isStill(path, rotated)) return file;
    await file?.close();
  }
}

/** Whether no file was rotated or removed since the files of a log were listed, so that what was opened is what it seems. */
function isStill(path: string, rotated: readonly RotatedFile[]): boolean {
  const now = listRotated(path);
  return now.length === rotated.length && now.every((file, index) => file.path === rotated[index]?.path);
}

/** The file in which the log goes on behind `file`, or `undefined` while there is none or nothing is in it. */
async function successorOf(path: string, file: LogFile): Promise<LogFile | undefined> {
  if (!file.seekable) return undefined;
  for (;;) {
    if ((await inodeAt(path)) === file.inode) return undefined;
    const rotated = listRotated(path);
    const next = await LogFile.open((await followerOf(rotated, file))?.path ?? path);
    const isWhole = isStill(path, rotated);
    if (isWhole && next !== undefined && (await next.size()) > 0) return next;
    await next?.close();
    if (isWhole) return undefined;
  }
}

async function followerOf(rotated: readonly RotatedFile[], file: LogFile): Promise<RotatedFile | undefined> {
  const inodes = await inodesOf(rotated.map((entry) => entry.path));
  const at = inodes.indexOf(file.inode);
  if (at >= 0) return rotated[at + 1];
  const { lastSequence } = file;
  return rotated.find(({ firstSequence }) => lastSequence !== undefined && firstSequence > lastSequence);
}

async function inodesOf(paths: readonly string[]): Promise<readonly (string | undefined)[]> {
  return await Promise.all(paths.map(inodeAt));
}

async function firstSequenceOf(file: LogFile): Promise<number | undefined> {
  const [first] = await file.read();
  file.seek({ offset: 0, line: 0 });
  const sequence = first === undefined ? undefined : sequenceOfLine(first);
  file.lastSequence = undefined;
  return sequence;
}

function notice(reason: Extract<LogPiece, { kind: 'notice' }>['reason'], message: string): LogPiece {
  return { kind: 'notice', reason, message };
}

function missing(path: string): TapwardenError {
  return unreadable(path, Object.assign(new Error('ENOENT: no such file or directory'), { code: 'ENOENT' }));
}

function unreadable(path: string, cause: unknown): TapwardenError {
  return new TapwardenError('FILE_UNREADABLE', {
    message: `Cannot read the event log ${path}: ${messageOf(cause)}`,
    ...(errnoOf(cause) === 'EACCES' ? { hint: 'Event logs belong to root: use sudo.' } : {}),
    cause,
  });
}
