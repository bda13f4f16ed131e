import { messageOf } from '../../base/index.ts';
import type { BatchSize, Transport } from './model.ts';
import type { OutgoingEvent } from './outgoing-event.ts';
import { unavailable } from './refusal.ts';
import { type SyslogAddress, SyslogConnection } from './syslog-connection.ts';
import { renderFrame } from './syslog-frame.ts';

/** How a syslog receiver is reached. */
export type SyslogOptions = SyslogAddress & {
  /** The receiver as messages call it. Example: `'syslog+tls://logs.example:6514'`. */
  readonly name: string;
  /** The machine that the messages name. */
  readonly hostname: string;
  /** Milliseconds for connecting, and for the receiver to read a batch. @default 30000 */
  readonly timeoutMs?: number;
  /** @default 500 events, 1 MiB, 1000 ms */
  readonly batch?: BatchSize;
  /** Milliseconds for which what was sent is kept to be sent again, should the receiver break down. @default 10000 */
  readonly settleMs?: number;
};

/** Events that were sent and may have to be sent again: no more of them than this. */
const maxRecentEvents = 10_000;
const maxRecentBytes = 8 * 1024 * 1024;

type Recent = { readonly event: OutgoingEvent; readonly atMs: number };

/**
 * A transport to a syslog receiver over TCP or TLS, which acknowledges nothing. So each batch has a connection of its own
 * and counts as taken when the receiver, after our end of the stream, sent its own, and then accepted the next
 * connection: a receiver that died ends the stream too, but accepts none.
 *
 * What a receiver has read it may still hold in memory. The connection of the next batch stands open meanwhile; when it
 * breaks, the receiver broke down, and what was sent in the `settleMs` before is sent once more.
 */
export function openSyslog(options: SyslogOptions): Transport {
  const link = new SyslogLink(options);
  return {
    name: options.name,
    batch: options.batch ?? { maxEvents: 500, maxBytes: 1024 * 1024, lingerMs: 1000 },
    send: async (events, signal) => {
      try {
        await link.send(events, signal);
      } catch (cause) {
        throw unavailable(options.name, messageOf(cause), { cause });
      }
    },
    doubts: () => link.doubts,
    close: async () => link.close(),
  };
}

class SyslogLink {
  readonly #options: SyslogOptions;
  readonly #settleMs: number;
  readonly #timeoutMs: number;
  #standing: SyslogConnection | undefined;
  #recent: Recent[] = [];
  /** Events that the receiver may have lost, oldest first. They go before the next ones. */
  #doubtful: readonly OutgoingEvent[] = [];

  constructor(options: SyslogOptions) {
    this.#options = options;
    this.#settleMs = options.settleMs ?? 10_000;
    this.#timeoutMs = options.timeoutMs ?? 30_000;
  }

  /** Whether the receiver may have lost what it had taken. */
  get doubts(): boolean {
    return this.#doubtful.length > 0;
  }

  async send(events: readonly OutgoingEvent[], signal: AbortSignal): Promise<void> {
    const connection = this.#standing?.usable === true ? this.#standing : await this.#connect(signal);
    this.#standing = undefined;
    try {
      const repeated = this.#doubtful;
      const frames = [...repeated, ...events].map((event) => renderFrame(event, this.#options.hostname));
      await connection.finish(frames, this.#timeoutMs, signal);
      await this.#connect(signal);
      this.#doubtful = [];
      this.#remember([...repeated, ...events]);
    } catch (error) {
      this.#brokeDown();
      throw error;
    }
  }

  close(): void {
    this.#standing?.destroy();
    this.#standing = undefined;
  }

  /** Opens the connection that stands by for the next batch. */
  async #connect(signal: AbortSignal): Promise<SyslogConnection> {
    const connection = await SyslogConnection.open(this.#options, this.#timeoutMs, signal);
    this.#standing = connection;
    void connection.closed.then(() => {
      // Only while it stands by: in use, whoever uses it sees the end.
      if (this.#standing === connection) this.#brokeDown();
    });
    return connection;
  }

  #brokeDown(): void {
    this.#standing = undefined;
    this.#forgetSettled();
    this.#doubtful = [...this.#doubtful, ...this.#recent.map(({ event }) => event)].slice(-maxRecentEvents);
    this.#recent = [];
  }

  #remember(events: readonly OutgoingEvent[]): void {
    const atMs = performance.now();
    this.#recent.push(...events.map((event) => ({ event, atMs })));
    this.#forgetSettled();
  }

  #forgetSettled(): void {
    const oldest = performance.now() - this.#settleMs;
    let bytes = 0;
    let from = this.#recent.length;
    while (from > 0) {
      const entry = this.#recent[from - 1];
      bytes += entry?.event.json.length ?? 0;
      if (entry === undefined || entry.atMs < oldest) break;
      if (bytes > maxRecentBytes || this.#recent.length - from >= maxRecentEvents) break;
      from -= 1;
    }
    this.#recent = this.#recent.slice(from);
  }
}
