import { once } from 'node:events';
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { messageOf } from '../../base/index.ts';
import type { TlsMaterial } from './tls-files.ts';

/** Where a syslog receiver listens. `tls` is absent where it is plain TCP. */
export type SyslogAddress = { readonly host: string; readonly port: number; readonly tls?: TlsMaterial };

/**
 * One connection to a syslog receiver. Syslog has no acknowledgement; what there is instead is the receiver's end of the
 * stream after ours, which it sends when it has read everything that came before.
 */
export class SyslogConnection {
  readonly #socket: Socket;
  /** Resolves with what ended the connection: `undefined` is an end in good order, by either side. */
  readonly closed: Promise<string | undefined>;
  #ended = false;
  #problem: string | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setKeepAlive(true, 30_000);
    socket.on('error', (error) => {
      this.#problem ??= messageOf(error);
    });
    socket.once('end', () => {
      this.#ended = true;
      // Both sides are done, or the receiver left first: then nothing more that is written would be read.
      socket.end();
    });
    // Receivers say nothing; what they say all the same must not keep the end of the stream from being seen.
    socket.resume();
    this.closed = new Promise((resolve) => {
      socket.once('close', () => resolve(this.#problem ?? (this.#ended ? undefined : 'the connection was cut')));
    });
  }

  /** Connects, and for TLS checks the receiver's certificate. Throws what Node throws. */
  static async open(address: SyslogAddress, timeoutMs: number, signal: AbortSignal): Promise<SyslogConnection> {
    const { host, port, tls } = address;
    const socket =
      tls === undefined ? connectTcp({ host, port }) : connectTls({ host, port, servername: serverName(host), ...tls });
    try {
      await once(socket, tls === undefined ? 'connect' : 'secureConnect', {
        signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
      });
    } catch (error) {
      socket.destroy();
      throw error;
    }
    return new SyslogConnection(socket);
  }

  /** Whether the connection can still be written to. */
  get usable(): boolean {
    return this.#socket.writable && !this.#ended && this.#problem === undefined;
  }

  /**
   * Writes all frames, ends our side and waits until the receiver has ended its own. Throws what went wrong when the
   * connection breaks, or the receiver ended before us.
   */
  async finish(frames: readonly Buffer[], timeoutMs: number, signal: AbortSignal): Promise<void> {
    const socket = this.#socket;
    const cut = (): void => void socket.destroy();
    const timer = setTimeout(() => {
      this.#problem ??= `the receiver did not read all within ${timeoutMs} ms`;
      cut();
    }, timeoutMs);
    signal.addEventListener('abort', cut, { once: true });
    try {
      if (signal.aborted) cut();
      // One that is closed tells of no end any more.
      if (!this.usable) throw new Error(this.#problem ?? 'the connection is closed');
      // One write for all: the kernel cuts it to the receiver's pace, and the memory is there already.
      socket.write(Buffer.concat(frames));
      if (this.#ended) throw new Error('the receiver ended the connection');
      socket.end();
      const early = new Promise<boolean>((resolve) => {
        socket.once('end', () => resolve(!socket.writableFinished));
        socket.once('close', () => resolve(false));
      });
      const beforeUs = await early;
      const problem = await this.closed;
      if (problem !== undefined) throw new Error(problem);
      if (beforeUs) throw new Error('the receiver ended the connection before it had read all');
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', cut);
    }
  }

  /** Cuts the connection. */
  destroy(): void {
    this.#socket.destroy();
  }
}

/** An address is no name that a certificate is asked for by. Source: RFC 6066, section 3 */
function serverName(host: string): string | undefined {
  return /^[\d.]+$|:/.test(host) ? undefined : host;
}
