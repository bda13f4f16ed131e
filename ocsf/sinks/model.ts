import type { LogLine } from '../log/line-splitter.ts';
import type { LogPosition } from '../log/reader.ts';
import type { OutgoingEvent } from './outgoing-event.ts';

/** What a shipper takes from a log: a line and the place behind it, or what is to be said about the log. */
export type LogEntry =
  | {
      readonly kind: 'line';
      readonly line: LogLine;
      /** Where a later run would go on; made when it is asked for. `undefined` where the log cannot be read again. */
      readonly position: () => LogPosition | undefined;
    }
  | { readonly kind: 'notice'; readonly message: string };

/** How many events are handed to a transport at once. A batch is sent when it is full or `lingerMs` old. */
export type BatchSize = {
  readonly maxEvents: number;
  /** Bytes of the lines. A single event may have more. */
  readonly maxBytes: number;
  /** Milliseconds that the first event of a batch waits for others. */
  readonly lingerMs: number;
};

/**
 * A way to one receiver. One call of {@link Transport.send} is under way at a time, so that the order of lines is kept.
 */
export type Transport = {
  /** The receiver as messages call it, without secrets. Example: `'https://siem.example/ocsf'`. */
  readonly name: string;
  readonly batch: BatchSize;
  /**
   * Delivers events in their order and is done when the receiver has acknowledged all of them. Where it throws, any of
   * them may have arrived, and all are sent again.
   *
   * @throws SINK_REFUSED when the receiver will not take these events, however often they come
   * @throws SINK_UNAVAILABLE when it may take them later, with `retryAfterMs` in `details` where it said when
   */
  readonly send: (events: readonly OutgoingEvent[], signal: AbortSignal) => Promise<void>;
  /**
   * Whether events that were acknowledged may be lost after all, so that `send`, with no events, is to send them again.
   * Absent where an acknowledgement is one.
   */
  readonly doubts?: () => boolean;
  /** Ends what connections there are. */
  readonly close: () => Promise<void>;
};

/** What a transport to a receiver of the network needs to be told, beside its address. */
export type Credentials = {
  /** A file that holds a bearer token (HTTP) or a token (NATS). */
  readonly tokenFile?: string;
  /** Files of certificates and a key, PEM. `ca` replaces the authorities that Node trusts. */
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
};

/** What a shipper has done since it began, in events unless said otherwise. */
export type ShipCounters = {
  /** Lines read from the log, broken ones included. */
  readonly read: number;
  /** Events that the receiver acknowledged. */
  readonly sent: number;
  /** Events that were handed over once more after a failure; one that was tried three times counts twice. */
  readonly retried: number;
  /** Events that the receiver refused for good. */
  readonly dropped: number;
  /** Lines that are no event, and were passed over. */
  readonly broken: number;
};

/**
 * What a shipper is at: waiting for events, sending, waiting to send again, delivering what is left before its end, and
 * over, with or without an error.
 */
export type ShipState = 'idle' | 'sending' | 'retrying' | 'draining' | 'ended' | 'failed';

/** A shipper as others see it. `queued` events were read and are not acknowledged yet. */
export type ShipStatus = ShipCounters & {
  readonly state: ShipState;
  readonly queued: number;
  readonly queuedBytes: number;
  /** Why the last attempt failed; gone when one succeeds. */
  readonly problem?: string;
};

/** What a shipper says while it runs. `uid` is absent where the event has none. */
export type ShipReport =
  | { readonly kind: 'retry'; readonly problem: string; readonly delayMs: number; readonly events: number }
  | { readonly kind: 'recovered' }
  | { readonly kind: 'dropped'; readonly uid?: string; readonly problem: string }
  | { readonly kind: 'broken'; readonly line: number; readonly problem: string }
  | { readonly kind: 'notice'; readonly message: string }
  | { readonly kind: 'cursor'; readonly problem: string };
