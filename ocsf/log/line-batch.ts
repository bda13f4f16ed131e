/** Bytes that are written at once: what a processor's cache holds. */
const batchBytes = 64 * 1024;

/** Lines that wait to be written in one piece, and how much of them was. */
export class LineBatch {
  readonly #bytes: Buffer;
  /** Where each line ends. */
  readonly #ends: number[] = [];
  #used = 0;
  #written = 0;

  /** @param firstBytes bytes of the line that it must hold at least */
  constructor(firstBytes = 0) {
    this.#bytes = Buffer.allocUnsafeSlow(Math.max(batchBytes, firstBytes));
  }

  /** Takes a line with its newline; returns its bytes, or `undefined` where there is no room for it. */
  add(line: string): number | undefined {
    const room = this.#bytes.length - this.#used;
    // A character of a string is three bytes at most, which spares counting them.
    if (line.length * 3 > room && Buffer.byteLength(line) > room) return undefined;
    const bytes = this.#bytes.write(line, this.#used);
    this.#used += bytes;
    this.#ends.push(this.#used);
    return bytes;
  }

  /** Bytes that were taken. */
  get used(): number {
    return this.#used;
  }

  /** What is not written yet. */
  get rest(): Buffer {
    return this.#bytes.subarray(this.#written, this.#used);
  }

  /** Lines that are not written to their end. */
  get lines(): number {
    return this.#ends.length;
  }

  /** Bytes that were written of a line whose rest is not. */
  get begun(): number {
    return this.#written - this.#base;
  }

  /** Notes that `count` bytes more were written; returns how many lines ended in them. */
  wrote(count: number): number {
    this.#written += count;
    const open = this.#ends.findIndex((end) => end > this.#written);
    const ended = this.#ends.splice(0, open === -1 ? this.#ends.length : open);
    this.#base = ended.at(-1) ?? this.#base;
    return ended.length;
  }

  /** Makes it as new, once all of it is written. */
  clear(): void {
    this.#ends.length = 0;
    this.#used = 0;
    this.#written = 0;
    this.#base = 0;
  }

  /** Where the first line begins that is not written to its end. */
  #base = 0;
}
