import { setTimeout as sleep } from 'node:timers/promises';
import { isTapwardenError, messageOf, TapwardenError } from '../../base/index.ts';
import type { Backoff } from './backoff.ts';
import type { Transport } from './model.ts';
import type { OutgoingEvent } from './outgoing-event.ts';

/** What delivering needs and whom it tells. */
export type Delivery = {
  readonly transport: Transport;
  readonly backoff: Backoff;
  /** Ends attempts and waits; what is not acknowledged by then is not. */
  readonly signal: AbortSignal;
  /** Milliseconds without any success after which it gives up; never where it is absent. */
  readonly giveUpMs?: number;
  readonly onAccepted: (events: readonly OutgoingEvent[]) => void;
  readonly onRetry: (problem: string, delayMs: number, events: readonly OutgoingEvent[]) => void;
  readonly onDropped: (event: OutgoingEvent, problem: string) => void;
};

/**
 * Delivers events until each is acknowledged or refused for good. A batch that is refused is cut in halves until the
 * refused event stands alone: the others arrive.
 *
 * @throws SINK_UNAVAILABLE when nothing was taken for `giveUpMs`
 * @throws the signal's reason when it fires before all is settled
 */
export async function deliver(events: readonly OutgoingEvent[], delivery: Delivery): Promise<void> {
  const problem = await attempt(events, delivery);
  if (problem === undefined) return;
  const [first, ...others] = events;
  if (first === undefined) return;
  if (others.length === 0) {
    delivery.onDropped(first, problem);
    return;
  }
  const middle = Math.ceil(events.length / 2);
  await deliver(events.slice(0, middle), delivery);
  await deliver(events.slice(middle), delivery);
}

/** Hands events over until the receiver answers for good: `undefined` when it took them, its words when it refused. */
async function attempt(events: readonly OutgoingEvent[], delivery: Delivery): Promise<string | undefined> {
  const { transport, backoff, signal, giveUpMs } = delivery;
  const began = performance.now();
  for (;;) {
    signal.throwIfAborted();
    try {
      await transport.send(events, signal);
      backoff.reset();
      delivery.onAccepted(events);
      return undefined;
    } catch (error) {
      signal.throwIfAborted();
      if (isTapwardenError(error, 'SINK_REFUSED')) {
        // A receiver that answers is there.
        backoff.reset();
        return error.message;
      }
      if (!isTapwardenError(error, 'SINK_UNAVAILABLE')) throw error;
      if (giveUpMs !== undefined && performance.now() - began >= giveUpMs) throw givenUp(error, giveUpMs);
      const delayMs = Math.max(backoff.next(), retryAfterOf(error));
      delivery.onRetry(messageOf(error), delayMs, events);
      await sleep(delayMs, undefined, { signal });
    }
  }
}

function retryAfterOf(error: TapwardenError): number {
  const { retryAfterMs } = error.details;
  return typeof retryAfterMs === 'number' ? retryAfterMs : 0;
}

function givenUp(error: TapwardenError, giveUpMs: number): TapwardenError {
  return new TapwardenError('SINK_UNAVAILABLE', {
    message: `Given up after ${giveUpMs / 1000} s without success: ${error.message}`,
    details: error.details,
    cause: error,
  });
}
