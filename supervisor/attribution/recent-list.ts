/** Things in the order in which they came, each with the moment until which it lasted; old ones are forgotten. */
export class RecentList<T extends { readonly toMs: number }> {
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
