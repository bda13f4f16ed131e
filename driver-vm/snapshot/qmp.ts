import type { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { TapwardenError } from '../../base/index.ts';

/** What QEMU says on its monitor. Source: docs/interop/qmp-spec.txt of QEMU 7.2. */
type Said = {
  readonly return?: unknown;
  readonly error?: { readonly class?: unknown; readonly desc?: unknown };
  readonly event?: unknown;
  readonly data?: Readonly<Record<string, unknown>>;
};

/**
 * QEMU's monitor protocol (QMP), as far as a snapshot needs it: commands, one at a time, and waiting for an event. It is spoken only
 * with a QEMU whose guest has not seen a workload.
 */
export class Qmp {
  readonly #socket: Socket;
  readonly #events: Said[] = [];
  #answer: ((said: Said) => void) | undefined;
  #heard: (() => void) | undefined;
  #over = false;

  private constructor(socket: Socket) {
    this.#socket = socket;
    const lines = createInterface({ input: socket });
    lines.on('line', (line) => this.#take(JSON.parse(line) as Said));
    lines.on('close', () => this.#end());
    socket.on('error', () => socket.destroy());
  }

  /** Greets QEMU on a socket to which it connected. */
  static async open(socket: Socket): Promise<Qmp> {
    const qmp = new Qmp(socket);
    await qmp.command('qmp_capabilities');
    return qmp;
  }

  /**
   * Carries out a command and returns its answer.
   *
   * @throws VMM_FAILED when QEMU refuses, or ends instead
   */
  async command(name: string, values: Readonly<Record<string, unknown>> = {}): Promise<unknown> {
    const answer = new Promise<Said>((resolve) => {
      this.#answer = resolve;
    });
    if (this.#over) this.#end();
    else this.#socket.write(`${JSON.stringify({ execute: name, arguments: values })}\n`);
    const said = await answer;
    if (said.error === undefined) return said.return;
    throw new TapwardenError('VMM_FAILED', {
      message: `QEMU does not carry out ${name}: ${String(said.error.desc).slice(0, 500)}`,
      details: { command: name },
    });
  }

  /**
   * Waits for an event that `isIt` knows, one that came before included.
   *
   * @throws VMM_FAILED when QEMU ends instead
   */
  async event(isIt: (name: string, data: Readonly<Record<string, unknown>>) => boolean): Promise<void> {
    for (;;) {
      for (let said = this.#events.shift(); said !== undefined; said = this.#events.shift()) {
        if (isIt(String(said.event), said.data ?? {})) return;
      }
      if (this.#over) throw new TapwardenError('VMM_FAILED', { message: 'QEMU ended before its guest was ready' });
      await new Promise<void>((resolve) => {
        this.#heard = resolve;
      });
    }
  }

  #take(said: Said): void {
    if (said.event !== undefined) {
      this.#events.push(said);
      this.#heard?.();
    } else if (said.return !== undefined || said.error !== undefined) {
      this.#answer?.(said);
      this.#answer = undefined;
    }
  }

  #end(): void {
    this.#over = true;
    this.#answer?.({ error: { desc: 'it has ended' } });
    this.#answer = undefined;
    this.#heard?.();
  }
}
