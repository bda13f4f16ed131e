import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { errnoOf } from '../../base/index.ts';
import { maxLineBytes } from '../line-cap.ts';
import { sequenceOfLine } from './event-line.ts';
import { LineSplitter, type LineStart, type LogLine } from './line-splitter.ts';

/** Bytes that are read at once. */
const pieceBytes = 256 * 1024;
/** Bytes of a first line, at most, that tell a file from another. */
const identityBytes = 4096;
const newline = 0x0a;

/** Which file a path leads to, or `undefined` where it leads to none. Example: `'2049:131'`. */
export async function inodeAt(path: string): Promise<string | undefined> {
  try {
    const { dev, ino } = await stat(path, { bigint: true });
    return `${dev}:${ino}`;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** A file of a log that is open for reading, and how far it was read. It may be renamed and removed meanwhile. */
export class LogFile {
  /** Where it stood when it was opened. */
  readonly path: string;
  readonly inode: string;
  /** Whether it can be read from any place, as a pipe cannot. */
  readonly seekable: boolean;
  /** The `metadata.sequence` of the last line of the last piece that was read. */
  lastSequence: number | undefined;
  readonly #handle: FileHandle;
  #splitter = new LineSplitter({ offset: 0, line: 0 });
  #identity: string | undefined;
  #buffer: Buffer | undefined;

  private constructor(path: string, handle: FileHandle, inode: string, seekable: boolean) {
    this.path = path;
    this.inode = inode;
    this.seekable = seekable;
    this.#handle = handle;
  }

  /** Opens the file at `path`; `undefined` where there is none. Any other error is the system's. */
  static async open(path: string): Promise<LogFile | undefined> {
    try {
      const handle = await open(path, constants.O_RDONLY);
      try {
        const facts = await handle.stat({ bigint: true });
        return new LogFile(path, handle, `${facts.dev}:${facts.ino}`, facts.isFile());
      } catch (error) {
        await handle.close();
        throw error;
      }
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return undefined;
      throw error;
    }
  }

  /** Where the next line begins. */
  get start(): LineStart {
    return this.#splitter.start;
  }

  async size(): Promise<number> {
    return (await this.#handle.stat()).size;
  }

  /**
   * A digest of the first line, which stays when the file is renamed or copied, and which no other file has, because each
   * event has a uid of its own. `undefined` while the first line is not whole.
   */
  async identity(): Promise<string | undefined> {
    this.#identity ??= await this.#readIdentity();
    return this.#identity;
  }

  /** Goes to the beginning of a line. */
  seek(start: LineStart): void {
    this.#splitter = new LineSplitter(start);
  }

  /** Goes behind the last whole line. Lines are counted from there. */
  async seekEnd(): Promise<void> {
    const size = await this.size();
    const tail = await this.#readAt(Math.max(0, size - maxLineBytes - 1), maxLineBytes + 1);
    const behind = tail.lastIndexOf(newline) + 1;
    // A line that began farther back is too long to be one; it is passed over as such when it ends.
    this.seek({ offset: behind === 0 && size > tail.length ? size : size - tail.length + behind, line: 0 });
  }

  /** The lines that come next; none at the end of the file. */
  async read(): Promise<readonly LogLine[]> {
    for (;;) {
      const piece = await this.#readPiece();
      if (piece === undefined) return [];
      const lines = this.#splitter.push(piece);
      const last = lines.at(-1);
      if (last === undefined) continue;
      this.lastSequence = sequenceOfLine(last) ?? this.lastSequence;
      return lines;
    }
  }

  /** What stands behind the last newline that was read. */
  unfinished(): LogLine | undefined {
    return this.#splitter.unfinished();
  }

  /** Ends a line that was cut off. */
  breakOff(): LogLine | undefined {
    return this.#splitter.breakOff();
  }

  /**
   * To be called before reading on after the end of the file: forgets the line that had not ended, since a writer that
   * starts anew cuts it off and writes another in its place. Where more than that was taken out of the file, or other
   * bytes stand in it, goes to where it can be read on and returns `true`.
   */
  async lookAgain(): Promise<boolean> {
    const before = this.#identity;
    this.seek(this.start);
    if (before !== undefined && (await this.#readIdentity()) !== before) {
      this.#identity = undefined;
      this.seek({ offset: 0, line: 0 });
      return true;
    }
    if ((await this.size()) >= this.start.offset) return false;
    await this.seekEnd();
    return true;
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }

  /** The next bytes in a buffer of their own, or `undefined` at the end. */
  async #readPiece(): Promise<Buffer | undefined> {
    const buffer = this.#buffer ?? Buffer.allocUnsafeSlow(pieceBytes);
    this.#buffer = undefined;
    const position = this.seekable ? this.#splitter.next : null;
    const { bytesRead } = await this.#handle.read(buffer, 0, buffer.length, position);
    if (bytesRead > buffer.length / 4) return buffer.subarray(0, bytesRead);
    // Of a few bytes a copy is cheaper than a new buffer for the next.
    this.#buffer = buffer;
    return bytesRead === 0 ? undefined : Buffer.from(buffer.subarray(0, bytesRead));
  }

  async #readIdentity(): Promise<string | undefined> {
    if (!this.seekable) return undefined;
    const beginning = await this.#readAt(0, identityBytes);
    const end = beginning.indexOf(newline);
    if (end === -1 && beginning.length < identityBytes) return undefined;
    const line = end === -1 ? beginning : beginning.subarray(0, end);
    return createHash('sha256').update(line).digest('hex').slice(0, 32);
  }

  async #readAt(position: number, length: number): Promise<Buffer> {
    const buffer = Buffer.allocUnsafe(length);
    let filled = 0;
    while (filled < length) {
      const { bytesRead } = await this.#handle.read(buffer, filled, length - filled, position + filled);
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    return buffer.subarray(0, filled);
  }
}
