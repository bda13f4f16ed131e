import { TapwardenError } from '../base/index.ts';

/**
 * A frame of the channel, as it stands on the wire, all numbers big-endian:
 *
 * ```
 * offset  size  field
 *      0     4  length of the payload, 1 to 4,194,304 bytes
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
  if (frame.payload.length === 0 || frame.payload.length > maxPayload) {
    throw new TapwardenError('BUG', { message: `A frame holds 1 to ${maxPayload} bytes, not ${frame.payload.length}` });
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
 * Cuts a byte stream into frames, whatever pieces it arrives in. Holds at most one incomplete frame: 4,194,316 bytes,
 * also where a hostile sender cuts it into millions of pieces.
 */
export class FrameDecoder {
  readonly #header = Buffer.alloc(headerSize);
  #frame: Frame | undefined;
  /** Bytes of the header, or of the frame's payload, that have come. */
  #filled = 0;
  #next = 1;
  readonly #onFrame: (frame: Frame) => void;

  constructor(onFrame: (frame: Frame) => void) {
    this.#onFrame = onFrame;
  }

  /**
   * Takes the next piece and passes the frames on that it completed, those before a wrong one too.
   *
   * @throws CHANNEL_PROTOCOL when a header is wrong, or a frame's number is not the next: a frame was lost or doubled
   */
  push(piece: Buffer): void {
    for (let at = 0; at < piece.length; ) {
      const target = this.#frame?.payload ?? this.#header;
      const taken = piece.copy(target, this.#filled, at);
      at += taken;
      this.#filled += taken;
      if (this.#filled < target.length) break;
      this.#filled = 0;
      const complete = this.#frame;
      this.#frame = complete === undefined ? this.#begin() : undefined;
      if (complete !== undefined) this.#onFrame(complete);
    }
  }

  /** The frame that the header announces, with room for its payload. */
  #begin(): Frame {
    const header = this.#header;
    const length = header.readUInt32BE(0);
    const kind = header.readUInt8(4);
    const stream = header.readUInt8(5);
    const number = header.readUInt32BE(8);
    // An empty frame would cost its sender no credit, and its receiver memory.
    if (length === 0 || length > maxPayload)
      protocolError(`a frame claims ${length} bytes, 1 to ${maxPayload} are allowed`);
    if (number !== this.#next) protocolError(`frame ${this.#next} was expected, frame ${number} came`);
    this.#next = (this.#next + 1) >>> 0;
    const payload = Buffer.allocUnsafe(length);
    if (kind === 1) return { kind: 'message', payload };
    if (kind === 2 && (stream === 0 || stream === 1 || stream === 2)) {
      return { kind: 'data', exec: header.readUInt16BE(6), stream, payload };
    }
    return protocolError(`a frame has the unknown kind ${kind} or stream ${stream}`);
  }
}

function protocolError(problem: string): never {
  throw new TapwardenError('CHANNEL_PROTOCOL', { message: `The channel broke its protocol: ${problem}` });
}
