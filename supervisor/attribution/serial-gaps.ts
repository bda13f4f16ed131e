/** How long a missing number may be late: records are queued when they are complete, not when they get their number. */
const lateMs = 1000;
const maxMissing = 65_536;

/**
 * Which serial numbers of audit events never came. Each event takes the next number, whoever caused it, so a number that
 * does not come is a record that was lost on its way.
 */
export class SerialGaps {
  readonly #missing = new Map<number, number>();
  #last: number | undefined;
  #lost = 0;

  /** Takes a number that came, at a time in milliseconds of any clock that does not go back. */
  take(serial: number, nowMs: number): void {
    if (this.#last === undefined) {
      this.#last = serial;
      return;
    }
    if (serial <= this.#last) {
      this.#missing.delete(serial);
      return;
    }
    const skipped = serial - this.#last - 1;
    // More than can be kept is lost for certain: no queue of the kernel is as long.
    if (skipped > maxMissing - this.#missing.size) this.#lost += skipped;
    else for (let number = this.#last + 1; number < serial; number += 1) this.#missing.set(number, nowMs);
    this.#last = serial;
  }

  /** Events that are lost by now; each is told of once. `final` waits for none any longer. */
  takeLost(nowMs: number, final = false): number {
    for (const [serial, since] of this.#missing) {
      if (!final && nowMs - since < lateMs) break;
      this.#missing.delete(serial);
      this.#lost += 1;
    }
    const lost = this.#lost;
    this.#lost = 0;
    return lost;
  }
}
