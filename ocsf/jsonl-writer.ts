import { closeSync, fstatSync, fsyncSync, ftruncateSync } from 'node:fs';
import { messageOf, type TapwardenError } from '../base/index.ts';
import type { EventBody, EventDraft, LoggedEvent } from './event.ts';
import { prepareLog, unwritable, writeAll } from './inspect-log.ts';
import { capLine, maxLineBytes } from './line-cap.ts';
import { createUidSource, type UidParts } from './uid.ts';

/** What a log takes from the world around it. Example: `{now: Date.now, randomBytes}`. */
export type EventLogEnvironment = UidParts;

/** How a log is taken over from a process that opened it. */
export type FromFdOptions = EventLogEnvironment & {
  /** The `nextSequence` of `prepareLog`. */
  readonly startSequence: number;
  /** What error messages call the log. @default 'fd N' */
  readonly name?: string;
  /** Bytes of a line at most. @default 1048576 */
  readonly maxBytes?: number;
};

/**
 * An event log: one JSON object a line, UTF-8, appended in the order of the calls. It assigns `metadata.uid`,
 * `metadata.sequence` (contiguous, from 1) and `metadata.logged_time`, so that a reader can prove that no line is
 * missing.
 *
 * A line is in the kernel's hands when {@link EventLog.append} returns, and on the disk after {@link EventLog.close}.
 * One process writes a log at a time: two would both hand out the same sequence numbers.
 */
export class EventLog {
  /** What `open` moved a torn last line to, for the caller to report. */
  readonly torn: string | undefined;
  readonly #fd: number;
  readonly #name: string;
  readonly #maxBytes: number;
  readonly #environment: EventLogEnvironment;
  readonly #nextUid: () => string;
  #nextSequence: number;
  #state: 'open' | 'broken' | 'closed' = 'open';

  private constructor(fd: number, options: FromFdOptions, torn?: string) {
    this.#fd = fd;
    this.#name = options.name ?? `fd ${fd}`;
    this.#maxBytes = options.maxBytes ?? maxLineBytes;
    this.#environment = options;
    this.#nextUid = createUidSource(options);
    this.#nextSequence = options.startSequence;
    this.torn = torn;
  }

  /**
   * Opens the log `path`, creates it where it is not there, and continues its sequence.
   *
   * @throws EVENTS_UNWRITABLE as `prepareLog` does
   */
  static open(path: string, environment: EventLogEnvironment): EventLog {
    const { fd, nextSequence, torn } = prepareLog(path, environment.now());
    return new EventLog(fd, { ...environment, startSequence: nextSequence, name: path }, torn);
  }

  /**
   * Takes over a log that is open for appending on `fd`, and closes it at the end.
   *
   * @throws EVENTS_UNWRITABLE when `startSequence` is no positive integer
   */
  static fromFd(fd: number, options: FromFdOptions): EventLog {
    if (!Number.isSafeInteger(options.startSequence) || options.startSequence < 1) {
      throw unwritable(options.name ?? `fd ${fd}`, `it cannot start at sequence ${options.startSequence}`);
    }
    return new EventLog(fd, options);
  }

  /**
   * Writes one event and returns it as it stands in the log. Where it throws, the log is as it was before.
   *
   * @throws EVENTS_UNWRITABLE when the log is closed or the write fails
   * @throws EVENT_INVALID when the event does not fit into a line
   */
  append<Draft extends EventDraft>(body: EventBody<Draft>): LoggedEvent<Draft> {
    if (this.#state === 'closed') throw unwritable(this.#name, 'it is closed');
    if (this.#state === 'broken')
      throw unwritable(this.#name, 'an earlier line could be neither written nor taken back');
    const { version, product, ...metadata } = body.metadata;
    const logged = {
      ...body,
      metadata: {
        version,
        product,
        uid: this.#nextUid(),
        sequence: this.#nextSequence,
        logged_time: this.#environment.now(),
        ...metadata,
      },
    };
    // Shortening keeps the shape, which the type of capLine cannot say for a generic event.
    const event = capLine(logged as unknown as LoggedEvent, this.#maxBytes);
    this.#write(Buffer.from(`${JSON.stringify(event)}\n`));
    this.#nextSequence += 1;
    return event as unknown as LoggedEvent<Draft>;
  }

  /**
   * Brings all lines to the disk and closes the log. A second call does nothing.
   *
   * @throws EVENTS_UNWRITABLE when the disk refuses; the descriptor is closed all the same
   */
  close(): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    try {
      fsyncSync(this.#fd);
    } catch (cause) {
      throw unwritable(this.#name, messageOf(cause), cause);
    } finally {
      closeSync(this.#fd);
    }
  }

  #write(line: Buffer): void {
    let written = 0;
    try {
      writeAll(this.#fd, line, (count) => {
        written += count;
      });
    } catch (cause) {
      throw this.#takeBack(written, cause);
    }
  }

  /** Removes the part of a line that was written before the write failed, so that the next line starts cleanly. */
  #takeBack(written: number, cause: unknown): TapwardenError {
    try {
      if (written > 0) ftruncateSync(this.#fd, fstatSync(this.#fd).size - written);
    } catch {
      this.#state = 'broken';
    }
    return unwritable(this.#name, messageOf(cause), cause);
  }
}
