/** A record of the kernel log that was written between two moments of CLOCK_MONOTONIC; all in milliseconds. */
export type ClockMark = { readonly logMs: number; readonly notBeforeMs: number; readonly notAfterMs: number };

/** From when to when something may have happened, in milliseconds of CLOCK_MONOTONIC. */
export type Span = { readonly fromMs: number; readonly toMs: number };

/** How fast the two clocks part at most: one is corrected by up to 500 ppm, the other is not, and each is a guess at first. */
const driftRate = 0.001;
/** How late the first record may be read, where nothing says better. */
const unmarkedMs = 1000;

/** A bound of the clocks' distance, and when it was found; with time it means less. */
type Bound = { readonly ms: number; readonly atMs: number };

/**
 * Tells when a record of the kernel log was made by CLOCK_MONOTONIC, as a span. The kernel log has a clock of its own
 * (`local_clock`), off by some milliseconds, and more with time.
 *
 * Their distance is bounded from above by each record that is read, and from below and above by marks and by records of
 * which it is known otherwise when they were made.
 */
export class LogClock {
  #low: Bound | undefined;
  #high: Bound | undefined;
  #markedMs = Number.NEGATIVE_INFINITY;

  /** Takes a record that this process wrote itself. */
  mark({ logMs, notBeforeMs, notAfterMs }: ClockMark): void {
    const [low, high] = [notBeforeMs - logMs, notAfterMs - logMs];
    // The clocks have jumped, as after a pause of the machine: what was known holds no longer.
    if (low > this.#highAt(notAfterMs) || high < this.#lowAt(notAfterMs)) {
      this.#low = undefined;
      this.#high = undefined;
    }
    this.#raise(low, notAfterMs);
    this.#lower(high, notAfterMs);
    this.#markedMs = notAfterMs;
  }

  /** Takes a record that was made after a moment. */
  learn(logMs: number, notBeforeMs: number, nowMs: number): void {
    if (notBeforeMs - logMs <= this.#highAt(nowMs)) this.#raise(notBeforeMs - logMs, nowMs);
  }

  /** Milliseconds since the last mark. */
  ageMs(nowMs: number): number {
    return nowMs - this.#markedMs;
  }

  /** When a record was made that was read at `readMs`. */
  spanOf(logMs: number, readMs: number): Span {
    this.#lower(readMs - logMs, readMs);
    const high = this.#highAt(readMs);
    const low = Math.min(high, this.#low === undefined ? high - unmarkedMs : this.#lowAt(readMs));
    return { fromMs: logMs + low, toMs: logMs + high };
  }

  #lowAt(nowMs: number): number {
    return this.#low === undefined ? Number.NEGATIVE_INFINITY : this.#low.ms - driftRate * (nowMs - this.#low.atMs);
  }

  #highAt(nowMs: number): number {
    return this.#high === undefined ? Number.POSITIVE_INFINITY : this.#high.ms + driftRate * (nowMs - this.#high.atMs);
  }

  #raise(ms: number, atMs: number): void {
    if (ms > this.#lowAt(atMs)) this.#low = { ms, atMs };
  }

  #lower(ms: number, atMs: number): void {
    if (ms < this.#highAt(atMs)) this.#high = { ms, atMs };
  }
}
