import { TapwardenError } from '../base/index.ts';

/**
 * A frame of the channel, as it stands on the wire, all numbers big-endian:
 *
 * ```
 * offset  size  field
 *      0     4  length of the payload, 0 to 4,194,304 bytes
 *      4     1  kind: 1 message (JSON, UTF-8), 2 stream data
 *      5     1  stream of kind 2: 0 standard input, 1 output, 2 error; else 0
 *      6     2  exec of kind 2; else 0
 *      8     4  number of this frame: 1, 2, 3 … in each direction
 *     12        payload
 * ```
 */
export type Frame =
  | { readonly kind: 'message'; readonly payload: Buffer }
  | { readonly kind: 'data'; readonly exec: number; readonly stream: StreamNumber; readonly payload: Buffer };

/** Standard input, output or error of an exec. */
export type StreamNumber = 0 | 1 | 2;

/** The largest payload of one frame, in bytes. */
export const maxPayload = 4_194_304;

const headerSize = 12;

/** Renders a frame with its number. */
export function encodeFrame(frame: Frame, number: number): Buffer {
  if (frame.payload.length > maxPayload) {
    throw new TapwardenError('BUG', {
      message: `A frame of ${frame.payload.length} bytes is longer than ${maxPayload}`,
    });
  }
  const buffer = Buffer.allocUnsafe(headerSize + frame.payload.length);
  buffer.writeUInt32BE(frame.payload.length, 0);
  buffer.writeUInt8(frame.kind === 'message' ? 1 : 2, 4);
  buffer.writeUInt8(frame.kind === 'message' ? 0 : frame.stream, 5);
  buffer.writeUInt16BE(frame.kind === 'message' ? 0 : frame.exec, 6);
  buffer.writeUInt32BE(number, 8);
  frame.payload.copy(buffer, headerSize);
  return buffer;
}

/**
 * Cuts a byte stream into frames, whatever pieces it arrives in. Holds at most one incomplete frame, so at most
 * 4,194,316 bytes beside the piece that was pushed last.
 */
export class FrameDecoder {
  #pieces: Buffer[] = [];
  #size = 0;
  #next = 1;

  /**
   * Takes the next piece and returns the frames that it completed.
   *
   * @throws CHANNEL_PROTOCOL when a header is wrong, or a frame's number is not the next: a frame was lost or doubled
   */
  push(piece: Buffer): readonly Frame[] {
    this.#pieces.push(piece);
    this.#size += piece.length;
    const frames: Frame[] = [];
    for (let frame = this.#take(); frame !== undefined; frame = this.#take()) frames.push(frame);
    return frames;
  }

  #take(): Frame | undefined {
    if (this.#size < headerSize) return undefined;
    const header = this.#peek(headerSize);
    const length = header.readUInt32BE(0);
    const kind = header.readUInt8(4);
    const stream = header.readUInt8(5);
    const number = header.readUInt32BE(8);
    if (length > maxPayload) protocolError(`a frame claims ${length} bytes, ${maxPayload} are allowed`);
    if (number !== this.#next) protocolError(`frame ${this.#next} was expected, frame ${number} came`);
    if (this.#size < headerSize + length) return undefined;
    const whole = this.#peek(headerSize + length);
    this.#drop(headerSize + length);
    this.#next = (this.#next + 1) >>> 0;
    const payload = whole.subarray(headerSize);
    if (kind === 1) return { kind: 'message', payload };
    if (kind === 2 && (stream === 0 || stream === 1 || stream === 2)) {
      return { kind: 'data', exec: header.readUInt16BE(6), stream, payload };
    }
    return protocolError(`a frame has the unknown kind ${kind} or stream ${stream}`);
  }

  /** The first `size` bytes in one piece. */
  #peek(size: number): Buffer {
    const first = this.#pieces[0];
    if (first !== undefined && first.length >= size) return first.subarray(0, size);
    const joined = Buffer.concat(this.#pieces);
    this.#pieces = [joined];
    return joined.subarray(0, size);
  }

  #drop(size: number): void {
    const rest = this.#peek(this.#size).subarray(size);
    this.#pieces = rest.length === 0 ? [] : [rest];
    this.#size -= size;
  }
}

function protocolError(problem: string): never {
  throw new TapwardenError('CHANNEL_PROTOCOL', { message: `The channel broke its protocol: ${problem}` });
}
