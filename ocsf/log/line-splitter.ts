import { maxLineBytes } from '../line-cap.ts';

/** A line of a log as it stands in its file, without its newline. `number` begins at 1, `end` is the offset behind it. */
export type LogLine =
  | { readonly kind: 'line'; readonly number: number; readonly bytes: Buffer; readonly end: number }
  /** A line that is none, in words: one that is too long, or one that never got its end. */
  | { readonly kind: 'broken'; readonly number: number; readonly problem: string; readonly end: number }
  /** What stands behind the last newline of a log. `end` is where it begins: whoever goes on there reads it again. */
  | { readonly kind: 'unfinished'; readonly number: number; readonly bytes: Buffer; readonly end: number };

/** Where a line begins: its offset in bytes, and how many lines stand before it. */
export type LineStart = { readonly offset: number; readonly line: number };

const newline = 0x0a;

/**
 * Cuts the bytes of a file into lines, and holds at most one line that has not ended. Of a line that is longer than any
 * event it keeps nothing. Empty lines are counted and passed over.
 */
export class LineSplitter {
  #held: Buffer[] = [];
  #heldBytes = 0;
  #offset: number;
  #line: number;

  constructor(start: LineStart) {
    this.#offset = start.offset;
    this.#line = start.line;
  }

  /** Where the line begins that has not ended yet. */
  get start(): LineStart {
    return { offset: this.#offset, line: this.#line };
  }

  /** The offset of the next byte that {@link LineSplitter.push} expects. */
  get next(): number {
    return this.#offset + this.#heldBytes;
  }

  /** Takes the bytes that come next, and returns the lines that end in them. The bytes belong to the lines from then on. */
  push(piece: Buffer): readonly LogLine[] {
    const lines: LogLine[] = [];
    let from = 0;
    for (let at = piece.indexOf(newline); at >= 0; at = piece.indexOf(newline, from)) {
      this.#hold(piece.subarray(from, at));
      const line = this.#end(1);
      if (line !== undefined) lines.push(line);
      from = at + 1;
    }
    if (from < piece.length) this.#hold(piece.subarray(from));
    return lines;
  }

  /** What has come of a line that has not ended, or `undefined`. It stays. */
  unfinished(): Extract<LogLine, { readonly kind: 'unfinished' | 'broken' }> | undefined {
    if (this.#heldBytes === 0) return undefined;
    if (this.#heldBytes > maxLineBytes) return tooLong(this.#line + 1, this.next);
    return { kind: 'unfinished', number: this.#line + 1, bytes: Buffer.concat(this.#held), end: this.#offset };
  }

  /** Ends a line that will never get its newline; `undefined` where none has begun. */
  breakOff(): LogLine | undefined {
    if (this.#heldBytes === 0) return undefined;
    const broken = this.#heldBytes > maxLineBytes;
    const line = this.#end(0);
    if (broken || line === undefined) return line;
    return { kind: 'broken', number: line.number, problem: 'it was cut off, and the log went on', end: line.end };
  }

  #hold(piece: Buffer): void {
    // One byte more than is allowed is enough to know that the line is too long.
    if (this.#heldBytes <= maxLineBytes) this.#held.push(piece);
    else this.#held = [];
    this.#heldBytes += piece.length;
  }

  #end(newlineBytes: number): LogLine | undefined {
    const [held, size] = [this.#held, this.#heldBytes];
    this.#held = [];
    this.#heldBytes = 0;
    this.#offset += size + newlineBytes;
    this.#line += 1;
    if (size === 0) return undefined;
    if (size > maxLineBytes) return tooLong(this.#line, this.#offset);
    const bytes = held.length === 1 && held[0] !== undefined ? held[0] : Buffer.concat(held);
    return { kind: 'line', number: this.#line, bytes, end: this.#offset };
  }
}

function tooLong(number: number, end: number): Extract<LogLine, { readonly kind: 'broken' }> {
  return { kind: 'broken', number, problem: `it is longer than ${maxLineBytes} bytes`, end };
}
