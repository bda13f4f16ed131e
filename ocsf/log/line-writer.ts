import { closeSync, fdatasync, fdatasyncSync, fstatSync, fsyncSync, ftruncateSync, writeSync } from 'node:fs';
import { messageOf, type TapwardenError } from '../../base/index.ts';
import { LineBatch } from './line-batch.ts';
import { isRotationDue, type Rotation } from './rotation.ts';
import { unwritable } from './unwritable.ts';

/**
 * When lines are brought to the disk: before they are acknowledged, within a second, or when the system likes. What is
 * acknowledged survives the end of the process under all three, and a power loss under `always`.
 */
export type FsyncPolicy = 'always' | 'interval' | 'never';

/** How a log stands. `held` and `dropped` are 0 while all is well. */
export type LogStatus = {
  readonly state: 'writing' | 'failing' | 'closed';
  /** What failed last, in the system's words, while `state` is `failing`. */
  readonly problem?: string;
  /** Why the log could not be rotated; it goes on in the old file and tries again. */
  readonly rotationProblem?: string;
  /** The `metadata.sequence` of the last event that is acknowledged; 0 before the first. */
  readonly acknowledged: number;
  /** Events that wait to be written. */
  readonly held: number;
  /** Events that were beyond what may be held, since the log was opened. They are not in the log. */
  readonly dropped: number;
};

/** How lines are written. */
export type LineWriterOptions = {
  readonly name: string;
  readonly firstSequence: number;
  readonly nextSequence: number;
  readonly now: () => number;
  readonly fsync: FsyncPolicy;
  readonly maxHeldBytes: number;
  readonly onStatus: (status: LogStatus) => void;
  readonly rotation?: Rotation | undefined;
  readonly rotate?: Rotate | undefined;
};

/**
 * Rotates the file whose first event has this sequence number, and returns the descriptor of the next one, at once or
 * later. Until then lines go to the old file.
 */
export type Rotate = (firstSequence: number) => number | Promise<number>;

const retryMs = 500;
const intervalMs = 1000;
/** Milliseconds until a rotation that failed is tried again. */
const rotateAgainMs = 60_000;
/** Bytes from which on lines are written without waiting for the turn's end. */
const writeAtBytes = 48 * 1024;

/**
 * Writes lines to the file of a log, in order, many at once. What the disk does not take is held and tried again twice a
 * second. One line stands for one sequence number.
 */
export class LineWriter {
  readonly #options: LineWriterOptions;
  #fd: number;
  #bytes: number;
  #lastWritten: number;
  #firstSequence: number;
  /** Batches that are full and not written, the oldest first; more than one only while the disk refuses. */
  #full: LineBatch[] = [];
  #filling = new LineBatch();
  #heldBytes = 0;
  /** Sequence numbers of the last line that was taken, written, and brought to the disk. */
  #taken: number;
  #written: number;
  #synced: number;
  #dropped = 0;
  #problem: string | undefined;
  #syncProblem: string | undefined;
  #rotationProblem: string | undefined;
  #isClosed = false;
  #isScheduled = false;
  #isSyncing = false;
  #isDue = false;
  #isRotating = false;
  #noRotationBefore = 0;
  #successor: number | undefined;
  #retryTimer: NodeJS.Timeout | undefined;
  #syncTimer: NodeJS.Timeout | undefined;
  readonly #closeAfterSync: number[] = [];
  #waiting: { readonly upTo: number; readonly settle: (error?: TapwardenError) => void }[] = [];

  constructor(fd: number, options: LineWriterOptions) {
    const { size, mtimeMs } = fstatSync(fd);
    this.#fd = fd;
    this.#options = options;
    this.#bytes = size;
    this.#lastWritten = mtimeMs;
    this.#firstSequence = options.firstSequence;
    this.#taken = options.nextSequence - 1;
    this.#written = this.#taken;
    this.#synced = this.#taken;
  }

  get status(): LogStatus {
    const problem = this.#problem ?? this.#syncProblem;
    return {
      state: this.#isClosed ? 'closed' : problem === undefined ? 'writing' : 'failing',
      ...(problem === undefined ? {} : { problem }),
      ...(this.#rotationProblem === undefined ? {} : { rotationProblem: this.#rotationProblem }),
      acknowledged: this.#acknowledged,
      held: this.#taken - this.#written,
      dropped: this.#dropped,
    };
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Takes a line with its newline; `false` when it is beyond what may be held, and is dropped. */
  push(line: string): boolean {
    if (this.#problem !== undefined && this.#heldBytes + Buffer.byteLength(line) > this.#options.maxHeldBytes) {
      this.#dropped += 1;
      return false;
    }
    let bytes = this.#filling.add(line);
    if (bytes === undefined) {
      this.#full.push(this.#filling);
      this.#filling = new LineBatch(Buffer.byteLength(line));
      bytes = this.#filling.add(line) ?? 0;
    }
    this.#heldBytes += bytes;
    this.#taken += 1;
    // While the disk refuses, the timer tries.
    if (this.#problem !== undefined) return true;
    if (this.#filling.used >= writeAtBytes || this.#full.length > 0) this.#write();
    else this.#schedule();
    return true;
  }

  /** Writes what waits, as far as the disk takes it. */
  flush(): void {
    if (!this.#isClosed) this.#write();
  }

  /**
   * Resolves when all that was pushed is acknowledged.
   *
   * @throws EVENTS_UNWRITABLE when that is not possible now; the lines are held
   */
  async flushed(): Promise<void> {
    this.flush();
    if (this.#acknowledged >= this.#taken) return;
    const { problem } = this.status;
    if (problem !== undefined || this.#isClosed) throw this.#error(problem ?? 'it is closed');
    const upTo = this.#taken;
    await new Promise<void>((resolve, reject) => {
      this.#waiting.push({ upTo, settle: (error) => (error === undefined ? resolve() : reject(error)) });
    });
  }

  /**
   * Writes what waits, brings it to the disk (but for the policy `never`) and closes the file. A line of which the disk
   * took a part is taken back.
   *
   * @throws EVENTS_UNWRITABLE when lines are left or the disk refuses; `details.unwritten` is how many
   */
  close(): void {
    if (this.#isClosed) return;
    this.#write();
    this.#isClosed = true;
    clearTimeout(this.#retryTimer);
    clearTimeout(this.#syncTimer);
    const unwritten = this.#taken - this.#written;
    try {
      if (unwritten > 0) this.#takeBack();
      if (this.#options.fsync !== 'never') fsyncSync(this.#fd);
      if (this.#syncProblem === undefined) this.#synced = this.#written;
    } catch (cause) {
      this.#syncProblem ??= messageOf(cause);
    } finally {
      this.#closeFile(this.#fd);
      if (this.#successor !== undefined) closeSync(this.#successor);
    }
    const problem = this.#problem ?? this.#syncProblem;
    this.#settle(unwritten > 0 ? this.#error(problem ?? 'it is closed') : undefined);
    if (problem !== undefined) throw this.#error(problem, { unwritten });
  }

  get #acknowledged(): number {
    return this.#options.fsync === 'always' ? this.#synced : this.#written;
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.flush();
    });
  }

  #write(): void {
    this.#rotateIfDue();
    for (;;) {
      this.#changeOver();
      const batch = this.#full[0] ?? this.#filling;
      if (batch.lines === 0) break;
      try {
        while (batch.lines > 0) this.#wrote(batch, writeSync(this.#fd, batch.rest));
      } catch (cause) {
        return this.#fail(messageOf(cause));
      }
      if (batch === this.#filling) batch.clear();
      else this.#full.shift();
    }
    if (this.#problem !== undefined) {
      this.#problem = undefined;
      this.#options.onStatus(this.status);
    }
    this.#syncByPolicy();
  }

  #wrote(batch: LineBatch, count: number): void {
    this.#written += batch.wrote(count);
    this.#bytes += count;
    this.#heldBytes -= count;
    this.#lastWritten = this.#options.now();
  }

  #fail(problem: string): void {
    const isNew = this.#problem === undefined;
    this.#problem = problem;
    clearTimeout(this.#retryTimer);
    this.#retryTimer = setTimeout(() => this.flush(), retryMs);
    this.#syncByPolicy();
    if (!isNew) return;
    this.#settle(this.#error(problem));
    this.#options.onStatus(this.status);
  }

  /** Removes the part of a line that was written, so that the log ends in a whole one. */
  #takeBack(): void {
    const begun = (this.#full[0] ?? this.#filling).begun;
    if (begun > 0) ftruncateSync(this.#fd, fstatSync(this.#fd).size - begun);
  }

  #syncByPolicy(): void {
    const { fsync } = this.#options;
    if (fsync === 'never' || this.#written === this.#synced) return;
    if (fsync === 'always') this.#sync();
    else {
      this.#syncTimer ??= setTimeout(() => {
        this.#syncTimer = undefined;
        this.#sync();
      }, intervalMs).unref();
    }
  }

  #sync(): void {
    if (this.#isSyncing || this.#isClosed || this.#syncProblem !== undefined) return;
    this.#isSyncing = true;
    const upTo = this.#written;
    fdatasync(this.#fd, (error) => {
      this.#isSyncing = false;
      for (const fd of this.#closeAfterSync.splice(0)) closeSync(fd);
      if (error !== null) return this.#syncFailed(error);
      this.#synced = Math.max(this.#synced, upTo);
      this.#settle();
      this.#syncByPolicy();
    });
  }

  /** What was written before may be lost, and no later success tells that it is not: there is no way back. */
  #syncFailed(error: unknown): void {
    if (this.#syncProblem !== undefined || this.#isClosed) return;
    this.#syncProblem = messageOf(error);
    if (this.#options.fsync === 'always') this.#settle(this.#error(this.#syncProblem));
    this.#options.onStatus(this.status);
  }

  /** Tells those who wait: of an error, or of what is acknowledged by now. */
  #settle(error?: TapwardenError): void {
    const settled = this.#waiting.filter(({ upTo }) => error !== undefined || upTo <= this.#acknowledged);
    if (settled.length === 0) return;
    this.#waiting = this.#waiting.filter((waiter) => !settled.includes(waiter));
    for (const { upTo, settle } of settled) settle(upTo <= this.#acknowledged ? undefined : error);
  }

  #rotateIfDue(): void {
    const { rotation, rotate, now } = this.#options;
    if (rotation === undefined || rotate === undefined || this.#isRotating || this.#successor !== undefined) return;
    if (this.#problem !== undefined || this.#taken === this.#written) return;
    const time = now();
    if (time < this.#noRotationBefore) return;
    // Until it succeeds, whatever is written meanwhile.
    this.#isDue ||= isRotationDue(rotation, { bytes: this.#bytes, lastWritten: this.#lastWritten }, time);
    if (!this.#isDue) return;
    try {
      const next = rotate(this.#firstSequence);
      if (typeof next === 'number') this.#successor = next;
      else this.#changeOverLater(next);
    } catch (error) {
      this.#rotationFailed(error);
    }
  }

  #changeOverLater(next: Promise<number>): void {
    this.#isRotating = true;
    next
      .then((fd) => {
        if (this.#isClosed) return closeSync(fd);
        this.#successor = fd;
        this.#changeOver();
      })
      .catch((error: unknown) => this.#rotationFailed(error))
      .finally(() => {
        this.#isRotating = false;
      });
  }

  #rotationFailed(error: unknown): void {
    this.#rotationProblem = messageOf(error);
    this.#noRotationBefore = this.#options.now() + rotateAgainMs;
    this.#options.onStatus(this.status);
  }

  /** Goes on in the next file, where there is one and no line is half written. */
  #changeOver(): void {
    if (this.#successor === undefined || (this.#full[0] ?? this.#filling).begun > 0) return;
    try {
      // At once, so that no line of the next file is on the disk before all of this one are.
      if (this.#options.fsync !== 'never' && this.#syncProblem === undefined) {
        fdatasyncSync(this.#fd);
        this.#synced = this.#written;
      }
    } catch (error) {
      this.#syncFailed(error);
    }
    this.#closeFile(this.#fd);
    this.#fd = this.#successor;
    this.#successor = undefined;
    this.#bytes = 0;
    this.#isDue = false;
    this.#firstSequence = this.#written + 1;
    this.#settle();
    if (this.#rotationProblem === undefined) return;
    this.#rotationProblem = undefined;
    this.#options.onStatus(this.status);
  }

  /** Closes a file, once no other thread uses its descriptor any more. */
  #closeFile(fd: number): void {
    if (this.#isSyncing) this.#closeAfterSync.push(fd);
    else closeSync(fd);
  }

  #error(problem: string, details?: { readonly unwritten: number }): TapwardenError {
    return unwritable(this.#options.name, problem, undefined, details);
  }
}
