/** Ports that are kept one by one; from there on they are bits. */
const maxListed = 64;
const portsInAll = 65_536;

/** How many sets may still become bits, 8 KiB each; shared by the sets of one summary. */
export type BitBudget = { left: number };

/** The different ports of a destination, all 65,536 of them if need be. */
export class PortSet {
  readonly #budget: BitBudget;
  readonly #listed = new Set<number>();
  #bits: Uint8Array | undefined;
  #size = 0;
  #exact = true;

  constructor(budget: BitBudget) {
    this.#budget = budget;
  }

  add(port: number): void {
    if (!Number.isInteger(port) || port < 0 || port >= portsInAll || this.has(port)) return;
    if (this.#bits === undefined && this.#listed.size >= maxListed) this.#spread();
    if (this.#bits !== undefined) this.#bits[port >> 3] = (this.#bits[port >> 3] ?? 0) | (1 << (port & 7));
    else if (this.#listed.size < maxListed) this.#listed.add(port);
    else {
      this.#exact = false;
      return;
    }
    this.#size += 1;
  }

  /** Takes the ports of another set over, and whether there are more of them. */
  addAll(other: PortSet): void {
    for (const port of other.#inOrder()) this.add(port);
    if (!other.#exact) this.#exact = false;
  }

  has(port: number): boolean {
    if (this.#bits === undefined) return this.#listed.has(port);
    return ((this.#bits[port >> 3] ?? 0) & (1 << (port & 7))) !== 0;
  }

  /** How many different ports there are, or at least so many where it is not {@link exact}. */
  get size(): number {
    return this.#size;
  }

  /** False where there was no memory left to tell more ports apart. */
  get exact(): boolean {
    return this.#exact;
  }

  /** The first ranges, in order: `[[22, 22], [8000, 8010]]`. */
  ranges(limit: number): readonly (readonly [from: number, to: number])[] {
    const ranges: [number, number][] = [];
    for (const port of this.#inOrder()) {
      const last = ranges.at(-1);
      if (last !== undefined && last[1] === port - 1) last[1] = port;
      else if (ranges.length === limit) break;
      else ranges.push([port, port]);
    }
    return ranges;
  }

  *#inOrder(): Generator<number> {
    if (this.#bits === undefined) yield* [...this.#listed].sort((a, b) => a - b);
    else for (let port = 0; port < portsInAll; port += 1) if (this.has(port)) yield port;
  }

  #spread(): void {
    if (this.#budget.left <= 0) return;
    this.#budget.left -= 1;
    const bits = new Uint8Array(portsInAll / 8);
    for (const port of this.#listed) bits[port >> 3] = (bits[port >> 3] ?? 0) | (1 << (port & 7));
    this.#listed.clear();
    this.#bits = bits;
  }
}
