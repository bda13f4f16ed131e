import type { BatchSize } from './model.ts';

/** How much a queue holds. */
export type QueueLimits = { readonly maxEvents: number; readonly maxBytes: number };

/**
 * A bounded queue between one writer and one reader. The writer waits while it is full, so that memory stays bounded
 * however long the receiver is away.
 */
export class EventQueue<Item extends { readonly bytes: number }> {
  readonly #limits: QueueLimits;
  #items: Item[] = [];
  #bytes = 0;
  #closed = false;
  #wakeWriter: (() => void) | undefined;
  #wakeReader: (() => void) | undefined;

  constructor(limits: QueueLimits) {
    this.#limits = limits;
  }

  /** Items that were not taken yet. */
  get size(): number {
    return this.#items.length;
  }

  /** Bytes of the items that were not taken yet. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Whether it is closed and all was taken. */
  get finished(): boolean {
    return this.#closed && this.#items.length === 0;
  }

  /** Adds an item, after waiting for room. An item that is larger than the queue goes in alone. Returns whether it went in. */
  async push(item: Item): Promise<boolean> {
    while (!this.#closed && this.#full(item)) {
      await new Promise<void>((resolve) => {
        this.#wakeWriter = resolve;
      });
      this.#wakeWriter = undefined;
    }
    if (this.#closed) return false;
    this.#items.push(item);
    this.#bytes += item.bytes;
    this.#wakeReader?.();
    return true;
  }

  /**
   * Takes the next batch: waits for the first item, then until the batch or the queue is full or `lingerMs` have passed.
   * A batch is empty when no item came within `idleMs`, and when the queue is {@link EventQueue.finished}.
   */
  async take(size: BatchSize, idleMs: number): Promise<readonly Item[]> {
    const patience = performance.now() + idleMs;
    while (this.#items.length === 0 && !this.#closed) {
      const left = patience - performance.now();
      if (left <= 0) return [];
      await this.#change(left);
    }
    const deadline = performance.now() + size.lingerMs;
    while (!this.#closed && !this.#enough(size)) {
      const left = deadline - performance.now();
      if (left <= 0) break;
      await this.#change(left);
    }
    let count = 0;
    let bytes = 0;
    for (const item of this.#items) {
      if (count === size.maxEvents || (count > 0 && bytes + item.bytes > size.maxBytes)) break;
      count += 1;
      bytes += item.bytes;
    }
    const batch = this.#items.slice(0, count);
    this.#items = this.#items.slice(count);
    this.#bytes -= bytes;
    this.#wakeWriter?.();
    return batch;
  }

  /** From now on nothing goes in; what is in is still taken. */
  close(): void {
    this.#closed = true;
    this.#wakeWriter?.();
    this.#wakeReader?.();
  }

  #full(item: Item): boolean {
    if (this.#items.length === 0) return false;
    return this.#items.length >= this.#limits.maxEvents || this.#bytes + item.bytes > this.#limits.maxBytes;
  }

  #enough(size: BatchSize): boolean {
    const waits = this.#wakeWriter !== undefined;
    return waits || this.#items.length >= size.maxEvents || this.#bytes >= size.maxBytes;
  }

  async #change(timeoutMs: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#wakeReader = resolve;
      timer = setTimeout(resolve, timeoutMs);
    });
    this.#wakeReader = undefined;
    clearTimeout(timer);
  }
}
