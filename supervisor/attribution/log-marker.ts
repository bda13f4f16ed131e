import { writeFile } from 'node:fs/promises';
import type { KernelLogRecord } from '../kernel-log-record.ts';
import type { ClockMark } from './log-clock.ts';
import { monotonicMs } from './monotonic.ts';

const device = '/dev/kmsg';
const timeoutMs = 5000;

/** Writes records to the kernel log and, when they are read back, says when they were made: see {@link ClockMark}. */
export class LogMarker {
  readonly #prefix: string;
  readonly #waiting = new Map<string, (record: KernelLogRecord) => void>();
  #count = 0;

  /** `tag` is the run's secret, so that no program can write a mark. */
  constructor(tag: string) {
    this.#prefix = `tapwarden-clock ${tag}`;
  }

  /** Takes a record that a program wrote to the log; those of others are passed over. */
  take(record: KernelLogRecord): void {
    this.#waiting.get(record.text)?.(record);
  }

  /** @throws Error when the log cannot be written, or the record is not read within 5 s */
  async write(): Promise<ClockMark> {
    this.#count += 1;
    const text = `${this.#prefix} ${this.#count}`;
    const notBeforeMs = monotonicMs();
    let writtenMs = Number.POSITIVE_INFINITY;
    return await new Promise<ClockMark>((resolve, reject) => {
      const end = (error: Error): void => {
        clearTimeout(timer);
        this.#waiting.delete(text);
        reject(error);
      };
      const timer = setTimeout(() => end(new Error('The mark in the kernel log was not read')), timeoutMs);
      timer.unref();
      this.#waiting.set(text, ({ microseconds }) => {
        clearTimeout(timer);
        this.#waiting.delete(text);
        resolve({ logMs: microseconds / 1000, notBeforeMs, notAfterMs: Math.min(writtenMs, monotonicMs()) });
      });
      // A record without its newline stays open for continuation, and is not read until the next one comes.
      writeFile(device, `${text}\n`).then(
        () => {
          writtenMs = monotonicMs();
        },
        (error: Error) => end(error),
      );
    });
  }
}
