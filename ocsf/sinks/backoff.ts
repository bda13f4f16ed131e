/** How attempts are spaced. */
export type BackoffLimits = {
  /** Milliseconds before the first repetition; each later one waits twice as long. */
  readonly minMs: number;
  /** Milliseconds that no wait exceeds, unless the receiver itself asks for more. */
  readonly maxMs: number;
};

/**
 * Waits that double from failure to failure. Each is between half and the whole of its length, by chance, so that many
 * senders do not come back to a receiver at once.
 */
export class Backoff {
  readonly #limits: BackoffLimits;
  readonly #random: () => number;
  #failures = 0;

  constructor(limits: BackoffLimits, random: () => number) {
    this.#limits = limits;
    this.#random = random;
  }

  /** Milliseconds to wait after one more failure. */
  next(): number {
    const whole = Math.min(this.#limits.maxMs, this.#limits.minMs * 2 ** Math.min(this.#failures, 30));
    this.#failures += 1;
    return Math.round(whole / 2 + (whole / 2) * this.#random());
  }

  /** After a success the next wait is the shortest again. */
  reset(): void {
    this.#failures = 0;
  }
}
