import type { Span } from './log-clock.ts';

/** How much later than its neighbours a thing may begin that stands before them: lines of the log have the same inexactness. */
const disorderMs = 1000;

/** Things in the order of their end, or nearly so, each with its span; old ones are forgotten. */
export class RecentList<T extends Span> {
  readonly #items: T[] = [];
  /** The moments, never falling, so that they can be searched. */
  readonly #until: number[] = [];

  get size(): number {
    return this.#items.length;
  }

  add(item: T): void {
    this.#items.push(item);
    this.#until.push(Math.max(item.toMs, this.#until.at(-1) ?? item.toMs));
  }

  /** Those that lasted until that moment or longer, and perhaps some that did not. */
  since(ms: number): readonly T[] {
    return this.#items.slice(this.#firstSince(ms));
  }

  /** Of {@link since}, those up to the first that began well after `toMs`. */
  between(fromMs: number, toMs: number): readonly T[] {
    const found: T[] = [];
    for (let index = this.#firstSince(fromMs); index < this.#items.length; index += 1) {
      const item = this.#items[index];
      if (item === undefined || item.fromMs > toMs + disorderMs) break;
      found.push(item);
    }
    return found;
  }

  forget(beforeMs: number): void {
    const count = this.#firstSince(beforeMs);
    this.#items.splice(0, count);
    this.#until.splice(0, count);
  }

  #firstSince(ms: number): number {
    let [low, high] = [0, this.#until.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#until[middle] ?? 0) < ms) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
