import type { Duplex } from 'node:stream';
import { messageOf, TapwardenError } from '../base/index.ts';
import { encodeFrame, type Frame, FrameDecoder, type StreamNumber } from './frame.ts';

/** Bytes of stream data in one frame: small enough that messages do not wait long behind it. */
const dataSize = 65_536;

/** What a connection calls. Handlers run in the order in which frames came. */
export type ConnectionHandlers = {
  readonly onMessage: (payload: Buffer) => void;
  readonly onData: (exec: number, stream: StreamNumber, payload: Buffer) => void;
  /** Called once, when the other side is gone or broke the protocol. */
  readonly onClose: (reason: TapwardenError) => void;
};

/** One end of the channel over a byte stream: frames with numbers out, frames in, back-pressure both ways. */
export class Connection {
  readonly #stream: Duplex;
  readonly #handlers: ConnectionHandlers;
  #number = 0;
  #closed = false;

  constructor(stream: Duplex, handlers: ConnectionHandlers) {
    this.#stream = stream;
    this.#handlers = handlers;
    const decoder = new FrameDecoder((frame) => this.#take(frame));
    stream.on('data', (piece: Buffer) => this.#receive(decoder, piece));
    stream.on('error', (error) => this.#close(messageOf(error), error));
    stream.on('end', () => this.#close('the other side closed it'));
    stream.on('close', () => this.#close('it was closed'));
  }

  /** Sends a message as JSON. Resolves when the stream has taken it. */
  async send(message: unknown): Promise<void> {
    await this.#write({ kind: 'message', payload: Buffer.from(JSON.stringify(message)) });
  }

  /** Sends bytes of a stream, cut into frames. Resolves when the channel has taken all of them. */
  async sendData(exec: number, stream: StreamNumber, bytes: Buffer): Promise<void> {
    for (let at = 0; at < bytes.length; at += dataSize) {
      await this.#write({ kind: 'data', exec, stream, payload: bytes.subarray(at, at + dataSize) });
    }
  }

  /** Whether the connection is gone. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Ends the connection without calling `onClose`. */
  close(): void {
    this.#closed = true;
    this.#stream.destroy();
  }

  async #write(frame: Frame): Promise<void> {
    if (this.#closed) return;
    this.#number = (this.#number + 1) >>> 0;
    const bytes = encodeFrame(frame, this.#number);
    await new Promise<void>((resolve) => {
      // An error ends the connection through the stream's own event; whoever waits here must not hang on it.
      this.#stream.write(bytes, () => resolve());
    });
  }

  #receive(decoder: FrameDecoder, piece: Buffer): void {
    if (this.#closed) return;
    try {
      decoder.push(piece);
    } catch (error) {
      this.#close(messageOf(error), error);
    }
  }

  #take(frame: Frame): void {
    // A handler may have closed the connection over a frame before this one.
    if (this.#closed) return;
    if (frame.kind === 'message') this.#handlers.onMessage(frame.payload);
    else this.#handlers.onData(frame.exec, frame.stream, frame.payload);
  }

  #close(reason: string, cause?: unknown): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#stream.destroy();
    const known = cause instanceof TapwardenError ? cause : undefined;
    this.#handlers.onClose(
      known ?? new TapwardenError('CHANNEL_CLOSED', { message: `The channel is gone: ${reason}`, cause }),
    );
  }
}
