import { constants } from 'node:os';
import type { ExecEnd } from '../driver-vm/index.ts';

const relayed = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const;

/**
 * Passes this process's signals on to the command in the guest. Before there is a command, the first one ends the run;
 * while there is, the first goes to it and a second of SIGINT or SIGTERM ends the virtual machine.
 */
export class SignalRelay {
  readonly #handlers = new Map<NodeJS.Signals, () => void>();
  #send: ((signal: number) => void) | undefined;
  #passed = 0;
  #interrupt: ((signal: number) => void) | undefined;
  readonly #early = new AbortController();

  constructor() {
    for (const name of relayed) {
      const handler = (): void => this.#take(constants.signals[name]);
      this.#handlers.set(name, handler);
      process.on(name, handler);
    }
  }

  /** Aborted, by an {@link Interrupted}, when a signal comes before there is a command. */
  get early(): AbortSignal {
    return this.#early.signal;
  }

  /** From now on signals go to the command. */
  forward(send: (signal: number) => void): void {
    this.#send = send;
  }

  /** Rejects with {@link Interrupted} when a signal comes before there is a command. */
  async beforeCommand(): Promise<never> {
    return await new Promise((_, reject) => {
      const interrupt = (): void => reject(this.early.reason);
      if (this.early.aborted) interrupt();
      else this.early.addEventListener('abort', interrupt, { once: true });
    });
  }

  /** Resolves, as an end by that signal, when a second signal asks for the end of the virtual machine. */
  async secondTime(): Promise<ExecEnd> {
    return await new Promise((resolve) => {
      this.#interrupt = (signal) => resolve({ status: null, signal });
    });
  }

  /** Takes the handlers away. */
  stop(): void {
    for (const [name, handler] of this.#handlers) process.off(name, handler);
  }

  #take(signal: number): void {
    if (this.#send === undefined) {
      this.#early.abort(new Interrupted(signal));
      return;
    }
    this.#passed += 1;
    if (this.#passed === 1) this.#send(signal);
    else this.#interrupt?.(signal);
  }
}

/** A signal came before the command was started: the run ends as that signal would end a program. */
export class Interrupted extends Error {
  readonly signal: number;

  constructor(signal: number) {
    super(`Interrupted by signal ${signal} before the command was started`);
    this.name = 'Interrupted';
    this.signal = signal;
  }
}
