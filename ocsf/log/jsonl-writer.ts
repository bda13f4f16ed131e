import type { EventBody, EventDraft } from '../event.ts';
import { capLine, maxLineBytes } from '../line-cap.ts';
import { createEventSerializer, type LogParts, withLogParts } from '../serialize.ts';
import { createUidSource, type UidParts } from '../uid.ts';
import { type FsyncPolicy, LineWriter, type LogStatus, type Rotate } from './line-writer.ts';
import { prepareLog } from './prepare.ts';
import { type Rotation, rotateIn } from './rotation.ts';
import { unwritable } from './unwritable.ts';

/** How a log is written. `now` and `randomBytes` are what it takes from the world around it. */
export type JsonlOptions = UidParts & {
  /** @default 'interval' */
  readonly fsync?: FsyncPolicy;
  /** When the file is rotated, and what is kept. Without it there is one file for ever. */
  readonly rotation?: Rotation;
  /** Bytes of events that are held while the disk takes none. @default 33554432 */
  readonly maxHeldBytes?: number;
  /** Bytes of a line at most. @default 1048576 */
  readonly maxBytes?: number;
  /** Told when the log begins or ceases to fail. It may append. */
  readonly onStatus?: (status: LogStatus) => void;
};

/** How a log is taken over from a process that opened it. */
export type FromFdOptions = JsonlOptions & {
  /** The `nextSequence` of `prepareLog`. */
  readonly startSequence: number;
  /** The `firstSequence` of `prepareLog`. @default `startSequence` */
  readonly firstSequence?: number;
  /** What error messages call the log. @default 'fd N' */
  readonly name?: string;
  /** Does what this process may not; goes with `rotation`. */
  readonly rotate?: Rotate;
};

/** 32 MiB: minutes of an ordinary run, and about ten thousand events of a flood. */
const defaultHeldBytes = 32 * 1024 * 1024;

/**
 * An event log: one JSON object a line, UTF-8, appended in the order of the calls. It assigns `metadata.uid`,
 * `metadata.sequence` (contiguous over restarts and rotations, from 1) and `metadata.logged_time`, so that a reader can
 * prove that no line is missing.
 *
 * {@link JsonlWriter.append} takes an event, and it is written by the end of the event loop's turn or earlier. It is
 * acknowledged when it is in the kernel's hands, and with `fsync: 'always'` when it is on the disk: `status.acknowledged`
 * and {@link JsonlWriter.flushed} tell. While the disk takes nothing, events are held, up to `maxHeldBytes`, and written
 * in order when it does again; what is beyond is counted as `status.dropped` and uses up no sequence number.
 *
 * One process writes a log at a time: two would both hand out the same sequence numbers.
 */
export class JsonlWriter {
  /** What `open` moved a torn last line to, for the caller to report. */
  readonly torn: string | undefined;
  readonly #lines: LineWriter;
  readonly #name: string;
  readonly #maxBytes: number;
  readonly #now: () => number;
  readonly #serialize = createEventSerializer();
  readonly #nextUid: () => string;
  #nextSequence: number;

  private constructor(fd: number, options: FromFdOptions, torn?: string) {
    const { name = `fd ${fd}`, startSequence, fsync, rotation, rotate, maxHeldBytes, onStatus } = options;
    this.#name = name;
    this.#maxBytes = options.maxBytes ?? maxLineBytes;
    this.#now = options.now;
    this.#nextUid = createUidSource(options);
    this.#nextSequence = startSequence;
    this.#lines = new LineWriter(fd, {
      name,
      firstSequence: options.firstSequence ?? startSequence,
      nextSequence: startSequence,
      now: options.now,
      fsync: fsync ?? 'interval',
      maxHeldBytes: maxHeldBytes ?? defaultHeldBytes,
      onStatus: onStatus ?? (() => undefined),
      rotation,
      rotate,
    });
    this.torn = torn;
  }

  /**
   * Opens the log `path`, creates it where it is not there, and continues its sequence.
   *
   * @throws EVENTS_UNWRITABLE as `prepareLog` does
   */
  static open(path: string, options: JsonlOptions): JsonlWriter {
    const { fd, nextSequence, firstSequence, torn } = prepareLog(path, options.now(), options.rotation);
    const numbers = { startSequence: nextSequence, firstSequence };
    const rotate = rotateIn(path, options.rotation, options.now);
    return new JsonlWriter(fd, { ...options, ...numbers, name: path, rotate }, torn);
  }

  /**
   * Takes over a log that is open for appending on `fd`, and closes it at the end.
   *
   * @throws EVENTS_UNWRITABLE when `startSequence` is no positive integer
   */
  static fromFd(fd: number, options: FromFdOptions): JsonlWriter {
    if (!Number.isSafeInteger(options.startSequence) || options.startSequence < 1) {
      throw unwritable(options.name ?? `fd ${fd}`, `it cannot start at sequence ${options.startSequence}`);
    }
    return new JsonlWriter(fd, options);
  }

  /** How the log stands. */
  get status(): LogStatus {
    return this.#lines.status;
  }

  /**
   * Takes one event and returns what the log adds to it; `undefined` when it is dropped because too much is held already.
   * Where it throws, the log is as it was before.
   *
   * @throws EVENTS_UNWRITABLE when the log is closed
   * @throws EVENT_INVALID when the event does not fit into a line
   */
  append<Draft extends EventDraft>(body: EventBody<Draft>): LogParts | undefined {
    if (this.#lines.isClosed) throw unwritable(this.#name, 'it is closed');
    const parts = { uid: this.#nextUid(), sequence: this.#nextSequence, logged_time: this.#now() };
    if (!this.#lines.push(this.#lineOf(body as EventBody, parts))) return undefined;
    this.#nextSequence += 1;
    return parts;
  }

  /** Writes what was appended, as far as the disk takes it, before it returns. */
  flush(): void {
    this.#lines.flush();
  }

  /**
   * Resolves when every event that was appended before is acknowledged.
   *
   * @throws EVENTS_UNWRITABLE when that is not possible now; the events are held and written later
   */
  async flushed(): Promise<void> {
    await this.#lines.flushed();
  }

  /**
   * Writes what was appended, brings it to the disk (but with `fsync: 'never'`) and closes the log. A second call does
   * nothing.
   *
   * @throws EVENTS_UNWRITABLE when events are left or the disk refuses; `details.unwritten` is how many are left, and the
   *   descriptor is closed all the same
   */
  close(): void {
    this.#lines.close();
  }

  #lineOf(body: EventBody, parts: LogParts): string {
    const text = this.#serialize(body, parts);
    // A character is three bytes at most, which spares counting them.
    if (text.length * 3 < this.#maxBytes || Buffer.byteLength(text) < this.#maxBytes) return `${text}\n`;
    return `${JSON.stringify(capLine(withLogParts(body, parts), this.#maxBytes))}\n`;
  }
}
