const maxBytes = 12_288;

/** The last 12 KiB of what the guest wrote to its serial console, for the error that follows a failed boot. */
export class ConsoleTail {
  #bytes = Buffer.alloc(0);

  push(piece: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, piece]).subarray(-maxBytes);
  }

  /** Forgets what was written, before another boot. */
  clear(): void {
    this.#bytes = Buffer.alloc(0);
  }

  /** The text, not yet fit to be printed. */
  text(): string {
    return this.#bytes.toString('utf8');
  }
}
