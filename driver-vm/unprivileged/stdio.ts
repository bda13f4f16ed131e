import type { Readable, Writable } from 'node:stream';
import { type Connection, ReceiveCredit, SendCredit, type StreamNumber } from '../../channel/index.ts';

/** The number of the only exec of a run. */
export const theExec = 1;

/** Bytes that go into one piece of standard input. */
const pieceSize = 65_536;

/**
 * Joins the caller's standard streams with those of the command in the guest, byte for byte, each as fast as the slower
 * side: whoever does not read stops the other from writing, and nothing piles up in between.
 */
export class Stdio {
  readonly #connection: Connection;
  readonly #outputs: Readonly<Record<1 | 2, Writable>>;
  readonly #input = new SendCredit();
  readonly #credits = { 1: new ReceiveCredit(), 2: new ReceiveCredit() };
  readonly #ended = { 1: deferred(), 2: deferred() };
  #inputOver = false;

  constructor(
    connection: Connection,
    streams: { readonly stdin: Readable; readonly stdout: Writable; readonly stderr: Writable },
  ) {
    this.#connection = connection;
    this.#outputs = { 1: streams.stdout, 2: streams.stderr };
    for (const stream of [1, 2] as const) {
      // Whoever read our output is gone: the command learns it as a closed pipe, as it would in a shell.
      this.#outputs[stream].on('error', () => void this.#send({ kind: 'end', exec: theExec, stream }));
    }
    void this.#pumpInput(streams.stdin);
  }

  /** Takes bytes that the command wrote. Returns `false` when the guest sent more than it may. */
  onData(stream: StreamNumber, payload: Buffer): boolean {
    if (stream === 0) return false;
    const credit = this.#credits[stream];
    if (!credit.accept(payload.length)) return false;
    const consumed = (): void => {
      const bytes = credit.consume(payload.length);
      if (bytes > 0) void this.#send({ kind: 'window', exec: theExec, stream, bytes });
    };
    const output = this.#outputs[stream];
    if (output.destroyed || output.errored !== null) consumed();
    else output.write(payload, consumed);
    return true;
  }

  /** The command took more of its input. */
  onWindow(stream: StreamNumber, bytes: number): void {
    if (stream === 0) this.#input.grant(bytes);
  }

  /** The guest has no more of an output, or wants no more input. */
  onEnd(stream: StreamNumber): void {
    if (stream === 0) this.#inputOver = true;
    else this.#ended[stream].resolve();
  }

  /** Resolves when both outputs have ended and all their bytes are with whoever reads them. */
  async drained(): Promise<void> {
    await Promise.all([this.#ended[1].promise, this.#ended[2].promise]);
    await Promise.all(([1, 2] as const).map(async (stream) => await flushed(this.#outputs[stream])));
  }

  async #pumpInput(stdin: Readable): Promise<void> {
    try {
      for await (const piece of stdin as AsyncIterable<Buffer>) {
        for (let at = 0; at < piece.length && !this.#inputOver; ) {
          const size = await this.#input.take(Math.min(pieceSize, piece.length - at));
          await this.#connection.sendData(theExec, 0, piece.subarray(at, at + size));
          at += size;
        }
        if (this.#inputOver) return;
      }
    } catch {
      // An input that cannot be read, as of a closed terminal, is an input that has ended.
    }
    await this.#send({ kind: 'end', exec: theExec, stream: 0 });
  }

  async #send(message: unknown): Promise<void> {
    await this.#connection.send(message);
  }
}

async function flushed(output: Writable): Promise<void> {
  if (output.destroyed || output.errored !== null) return;
  await new Promise<void>((resolve) => output.write('', () => resolve()));
}

function deferred(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve = (): void => undefined;
  const promise = new Promise<void>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
