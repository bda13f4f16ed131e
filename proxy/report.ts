import type { Closed, Invalid, Outcome, ProxyOptions, ProxyStats } from './model.ts';

/** Counts what the proxy does and tells it to the caller's callbacks, whose errors never reach a connection. */
export type Report = {
  /**
   * Tells how a request was answered and returns whether the caller took it. What is not recorded must not go out, so
   * an `open` outcome that the callback threw at is counted as failed, and the request is refused.
   */
  readonly outcome: (outcome: Outcome) => boolean;
  readonly closed: (closed: Closed) => void;
  readonly invalid: (invalid: Invalid) => void;
  readonly internalError: (thrown: unknown) => void;
  readonly stats: () => ProxyStats;
};

/** Makes the {@link Report} of one proxy. */
export function createReport(options: ProxyOptions): Report {
  const count = { allowed: 0, denied: 0, failed: 0, invalid: 0, active: 0 };
  const internalError = options.onInternalError ?? warn;
  const tell = (callback: () => void): boolean => {
    try {
      callback();
      return true;
    } catch (thrown) {
      internalError(thrown);
      return false;
    }
  };
  return {
    outcome: (outcome) => {
      const told = tell(() => options.onOutcome?.(outcome));
      if (outcome.result === 'denied') count.denied += 1;
      else if (outcome.result === 'failed' || !told) count.failed += 1;
      else {
        count.allowed += 1;
        count.active += 1;
      }
      return told;
    },
    closed: (closed) => {
      count.active -= 1;
      tell(() => options.onClose?.(closed));
    },
    invalid: (invalid) => {
      count.invalid += 1;
      tell(() => options.onInvalid?.(invalid));
    },
    internalError,
    stats: () => ({ ...count }),
  };
}

function warn(thrown: unknown): void {
  process.emitWarning(thrown instanceof Error ? thrown : String(thrown));
}
