import type { ForgedLinesFact } from '../channel/index.ts';
import { encodeLogPrefix } from '../nft/index.ts';
import type { KernelLogRecord } from './kernel-log-record.ts';

/** Characters of a program's name, which the kernel prints. Source: include/linux/sched.h, TASK_COMM_LEN. */
const nameLength = 15;
const usualMs = 1000;

/** What {@link ForgedLines} needs. */
export type ForgedLinesOptions = {
  /** The run's secret in the log prefix. */
  readonly tag: string;
  readonly onFact: (fact: ForgedLinesFact) => void;
  /** Between two facts of one kind, in milliseconds. @default 1000 */
  readonly everyMs?: number;
};

/**
 * Finds records of the kernel log that somebody made to look like lines of the fence. They pass for nothing; but who made them has
 * read the run's secret, or tries what it must not, and that is told of: at once, then with how many more there were.
 */
export class ForgedLines {
  readonly #options: ForgedLinesOptions;
  readonly #prefix: string;
  readonly #name: string;
  readonly #untold = new Map<ForgedLinesFact['by'], number>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: ForgedLinesOptions) {
    this.#options = options;
    this.#prefix = encodeLogPrefix(options);
    this.#name = this.#prefix.slice(0, nameLength);
  }

  /** Takes a record that is no line of the fence. */
  take({ facility, text }: KernelLogRecord): void {
    if (facility !== 0) {
      if (text.includes(this.#prefix)) this.#count('program');
    } else if (text.startsWith(this.#name) && !text.startsWith(this.#prefix)) this.#count('kernel');
  }

  /** Tells of what has not been told of yet. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const [by, lines] of this.#untold) this.#options.onFact({ kind: 'forged-lines', by, lines });
    this.#untold.clear();
  }

  #count(by: ForgedLinesFact['by']): void {
    this.#untold.set(by, (this.#untold.get(by) ?? 0) + 1);
    if (this.#timer !== undefined) return;
    this.flush();
    this.#timer = setTimeout(() => this.flush(), this.#options.everyMs ?? usualMs).unref();
  }
}
