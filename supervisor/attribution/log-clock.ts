/** A record of the kernel log that was written between two moments of CLOCK_MONOTONIC; all in milliseconds. */
export type ClockMark = { readonly logMs: number; readonly notBeforeMs: number; readonly notAfterMs: number };

/** From when to when something may have happened, in milliseconds of CLOCK_MONOTONIC. */
export type Span = { readonly fromMs: number; readonly toMs: number };

/** How fast the two clocks part at most: a guess that is generous, since one of them is corrected and the other is not. */
const driftRate = 0.001;
/** How late the first record may be read, where no mark says better. */
const unmarkedMs = 1000;

/**
 * Tells when a record of the kernel log was made by CLOCK_MONOTONIC, as a span. The kernel log has a clock of its own
 * (`local_clock`), off by some milliseconds, and more with time.
 */
export class LogClock {
  #low = Number.NEGATIVE_INFINITY;
  #high = Number.POSITIVE_INFINITY;
  #atMs = 0;

  /** Takes a record that this process wrote itself. */
  mark({ logMs, notBeforeMs, notAfterMs }: ClockMark): void {
    const drift = driftRate * (notAfterMs - this.#atMs);
    const [low, high] = [notBeforeMs - logMs, notAfterMs - logMs];
    // What was known before still holds, as far as the clocks may have parted since.
    const [oldLow, oldHigh] = [this.#low - drift, this.#high + drift];
    const isConsistent = oldLow <= high && low <= oldHigh;
    this.#low = isConsistent ? Math.max(low, oldLow) : low;
    this.#high = isConsistent ? Math.min(high, oldHigh) : high;
    this.#atMs = notAfterMs;
  }

  /** Milliseconds since the last mark. */
  ageMs(nowMs: number): number {
    return this.#low === Number.NEGATIVE_INFINITY ? Number.POSITIVE_INFINITY : nowMs - this.#atMs;
  }

  /** When a record was made that was read at `readMs`. */
  spanOf(logMs: number, readMs: number): Span {
    const drift = driftRate * Math.max(0, readMs - this.#atMs);
    if (this.#low === Number.NEGATIVE_INFINITY) {
      this.#high = Math.min(this.#high, readMs - logMs);
      return { fromMs: logMs + this.#high - unmarkedMs, toMs: Math.min(logMs + this.#high + drift, readMs) };
    }
    const toMs = Math.min(logMs + this.#high + drift, readMs);
    return { fromMs: Math.min(logMs + this.#low - drift, toMs), toMs };
  }
}
