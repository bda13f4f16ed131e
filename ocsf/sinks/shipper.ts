import { TapwardenError } from '../../base/index.ts';
import { parseEventLine } from '../log/event-line.ts';
import type { LogPosition } from '../log/reader.ts';
import { Backoff, type BackoffLimits } from './backoff.ts';
import { deliver } from './deliver.ts';
import { EventQueue, type QueueLimits } from './event-queue.ts';
import type { LogEntry, ShipReport, ShipState, ShipStatus, Transport } from './model.ts';
import { type OutgoingEvent, outgoingEvent } from './outgoing-event.ts';

/** What a shipper is made of. */
export type ShipperOptions = {
  readonly transport: Transport;
  /** Reads the log, and ends when the signal fires. */
  readonly lines: (signal: AbortSignal) => AsyncIterable<LogEntry>;
  /** Called with a position when all before it is acknowledged, dropped or passed over. */
  readonly onSettled?: (position: LogPosition) => void;
  readonly onReport?: (report: ShipReport) => void;
  /** @default 10000 events, 16 MiB */
  readonly queue?: QueueLimits;
  /** @default 250 ms to 30 s */
  readonly backoff?: BackoffLimits;
  /** Milliseconds without success after which it fails. @default never */
  readonly giveUpMs?: number;
  /** Milliseconds for delivering what was read when it is stopped. @default 5000 */
  readonly drainMs?: number;
  /** @default Math.random */
  readonly random?: () => number;
};

/**
 * So many events refused one after another are not bad events, but a receiver that takes none. Going on would drop the
 * whole log.
 */
const maxRefusalsInRow = 100;

/** A line on its way; one without an event was passed over, and only its place counts. */
type Item = {
  readonly event?: OutgoingEvent;
  readonly bytes: number;
  readonly position: () => LogPosition | undefined;
};

/** Milliseconds without an event after which a transport may send what it doubts. */
const idleMs = 1000;

/**
 * Sends the lines of a log to one receiver, in their order, each at least once.
 *
 * The log is the queue that lasts; in memory there is a bounded part of it. An event counts as sent when the receiver
 * acknowledged it, and only then does the position move past it, so that a later run repeats events but loses none.
 */
export class Shipper {
  readonly #options: ShipperOptions;
  readonly #queue: EventQueue<Item>;
  readonly #stop = new AbortController();
  readonly #abandon = new AbortController();
  readonly #counters = { read: 0, sent: 0, retried: 0, dropped: 0, broken: 0 };
  #state: ShipState = 'idle';
  #problem: string | undefined;
  #inHand: readonly Item[] = [];
  #refusalsInRow = 0;
  /** The last item that was delivered or passed over, where its position was not told yet. */
  #unsettled: Item | undefined;
  #drainTimer: NodeJS.Timeout | undefined;

  constructor(options: ShipperOptions) {
    this.#options = options;
    this.#queue = new EventQueue(options.queue ?? { maxEvents: 10_000, maxBytes: 16 * 1024 * 1024 });
  }

  /** What it is at now. */
  get status(): ShipStatus {
    const inHandBytes = this.#inHand.reduce((sum, { bytes }) => sum + bytes, 0);
    return {
      state: this.#state,
      ...this.#counters,
      queued: this.#queue.size + this.#inHand.length,
      queuedBytes: this.#queue.bytes + inHandBytes,
      ...(this.#problem === undefined ? {} : { problem: this.#problem }),
    };
  }

  /**
   * Ships until the lines end or {@link Shipper.stop} is called and what was read is delivered. May be called once.
   *
   * @throws SINK_UNAVAILABLE when nothing was taken for `giveUpMs`
   * @throws SINK_REFUSED when the receiver refuses one event after another
   * @throws what reading the log throws, after delivering what was read before
   */
  async run(): Promise<ShipStatus> {
    const reading = this.#read();
    const sending = this.#send().finally(() => {
      this.#stop.abort();
      this.#queue.close();
    });
    const outcomes = await Promise.allSettled([sending, reading]);
    clearTimeout(this.#drainTimer);
    await this.#options.transport.close();
    const failure = outcomes.find((outcome) => outcome.status === 'rejected');
    this.#state = failure === undefined ? 'ended' : 'failed';
    if (failure !== undefined) throw failure.reason;
    return this.status;
  }

  /** Reads no further, and gives what was read `drainMs` to arrive. Calling it again sets the time anew. */
  stop(drainMs = this.#options.drainMs ?? 5000): void {
    this.#stop.abort();
    this.#queue.close();
    if (this.#state === 'ended' || this.#state === 'failed') return;
    this.#state = 'draining';
    clearTimeout(this.#drainTimer);
    if (drainMs <= 0) this.#abandon.abort();
    else this.#drainTimer = setTimeout(() => this.#abandon.abort(), drainMs);
  }

  async #read(): Promise<void> {
    const { signal } = this.#stop;
    try {
      for await (const entry of this.#options.lines(signal)) {
        if (signal.aborted) break;
        if (entry.kind === 'notice') this.#report(entry);
        else if (!(await this.#queue.push(this.#itemOf(entry)))) break;
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      this.#queue.close();
    }
  }

  #itemOf({ line, position }: Extract<LogEntry, { kind: 'line' }>): Item {
    this.#counters.read += 1;
    const parsed = line.kind === 'line' ? parseEventLine(line) : undefined;
    if (line.kind === 'line' && parsed?.kind === 'event') {
      return { event: outgoingEvent(parsed.event, line.bytes), bytes: line.bytes.length, position };
    }
    this.#counters.broken += 1;
    const problem =
      parsed?.kind === 'broken' ? parsed.problem : line.kind === 'broken' ? line.problem : 'it has no end';
    this.#report({ kind: 'broken', line: line.number, problem });
    return { bytes: 0, position };
  }

  async #send(): Promise<void> {
    const { transport } = this.#options;
    const backoff = new Backoff(
      this.#options.backoff ?? { minMs: 250, maxMs: 30_000 },
      this.#options.random ?? Math.random,
    );
    try {
      for (;;) {
        this.#inHand = await this.#queue.take(transport.batch, idleMs);
        if (this.#inHand.length > 0 || transport.doubts?.() === true) await this.#settle(this.#inHand, backoff);
        // What is in doubt after the last batch is sent again before the end.
        if (this.#queue.finished && transport.doubts?.() !== true) return this.#settled();
      }
    } catch (error) {
      // Out of time at the end: what is left is for the next run.
      if (!this.#abandon.signal.aborted) throw error;
    }
  }

  async #settle(items: readonly Item[], backoff: Backoff): Promise<void> {
    this.#enter('sending');
    await this.#deliver(items, backoff);
    this.#inHand = [];
    this.#unsettled = items.at(-1) ?? this.#unsettled;
    // Should this be a receiver that takes none, a later run is to begin before the first that it refused.
    if (this.#refusalsInRow === 0) this.#settled();
    this.#enter('idle');
  }

  #settled(): void {
    const position = this.#unsettled?.position();
    this.#unsettled = undefined;
    if (position !== undefined) this.#options.onSettled?.(position);
  }

  async #deliver(items: readonly Item[], backoff: Backoff): Promise<void> {
    const { transport, giveUpMs } = this.#options;
    const events = items.flatMap(({ event }) => (event === undefined ? [] : [event]));
    if (events.length === 0 && transport.doubts?.() !== true) return;
    await deliver(events, {
      transport,
      backoff,
      signal: this.#abandon.signal,
      ...(giveUpMs === undefined ? {} : { giveUpMs }),
      onAccepted: ({ length }) => {
        this.#counters.sent += length;
        this.#refusalsInRow = 0;
        if (this.#problem !== undefined) this.#report({ kind: 'recovered' });
        this.#problem = undefined;
        this.#enter('sending');
      },
      onRetry: (problem, delayMs, { length }) => {
        this.#counters.retried += length;
        this.#problem = problem;
        this.#enter('retrying');
        this.#report({ kind: 'retry', problem, delayMs, events: length });
      },
      onDropped: (event, problem) => this.#drop(event, problem),
    });
  }

  #drop({ uid }: OutgoingEvent, problem: string): void {
    this.#refusalsInRow += 1;
    if (this.#refusalsInRow >= maxRefusalsInRow) {
      throw new TapwardenError('SINK_REFUSED', {
        message: `${maxRefusalsInRow} events one after another were refused; the last answer was: ${problem}`,
        hint: 'Check the address, the format and what the receiver accepts; the log still has the events.',
      });
    }
    this.#counters.dropped += 1;
    this.#report({ kind: 'dropped', ...(uid === undefined ? {} : { uid }), problem });
  }

  #enter(state: ShipState): void {
    if (this.#state !== 'draining') this.#state = state;
  }

  #report(report: ShipReport): void {
    this.#options.onReport?.(report);
  }
}
