import { setTimeout as sleep } from 'node:timers/promises';
import { type Child, type Ended, isTapwardenError, type TapwardenError, type UndoStack } from '../base/index.ts';
import type { SandboxUsers } from './processes.ts';
import type { Slot } from './slot.ts';
import type { SlotWatchOptions } from './slot-watch.ts';
import type { Accelerator } from './vmm.ts';

/** What a carrier is given of the sandbox that it is to carry. */
export type CarrierPlace = {
  readonly users: SandboxUsers;
  /** The sandbox's own folder. */
  readonly folder: string;
  /** The unix sockets on which the channel process listens. */
  readonly channelSocket: string;
  readonly consoleSocket: string;
};

/** A way to start a carrier: from nothing, or from a state that was kept. */
export type CarrierAttempt = 'boot' | 'restore';

/** What carries the supervisor of a sandbox: a virtual machine, or the host itself. */
export type Carrier = {
  /** How the guest's processor is run; `undefined` where there is no guest. */
  readonly accelerator: Accelerator | undefined;
  /** How it is started, one after the other, until the supervisor reports. */
  readonly attempts: readonly CarrierAttempt[];
  /** Whether it is started as soon as its slot is there, and waits for the channel by itself. */
  readonly startsEarly: boolean;
  /** How long it has to take back what it changed of the host, after a SIGTERM; 0 where it changes nothing. Milliseconds. */
  readonly graceMs: number;
  /** What the channel process's sockets belong to, beside its own user. */
  readonly socketGroup: (users: SandboxUsers) => number;
  /** The workload's uid in the kernel's records. */
  readonly workloadUid: (users: SandboxUsers) => number;
  /** Makes the slot, and what else has to be there before the start. A step that half fails is taken back by `undo` too. */
  readonly prepare: (place: CarrierPlace, undo: UndoStack) => Promise<PreparedCarrier>;
  /** What the end of that program means: `said` is the end of its standard error. */
  readonly failure: (ended: Ended, said: string, cause: unknown) => TapwardenError;
};

/** A carrier whose slot is there. */
export type PreparedCarrier = {
  readonly slot: Slot;
  /** Starts the program that carries the supervisor. Its standard error is a pipe. */
  readonly start: (attempt: CarrierAttempt) => Child;
  /** Does away with the state that was to be restored, since it does not come up. */
  readonly discard?: () => Promise<void>;
  /** Watches the host's own tables from then on, what they drop and that nobody changes them; absent where there are none. */
  readonly watch?: (told: Pick<SlotWatchOptions, 'onDrops' | 'onChange'>) => Promise<void>;
  /** Packets that the host's own tables dropped, by counter, at the end; empty where there are none. Ends the watch. */
  readonly readDrops: () => Promise<Readonly<Record<string, number>>>;
};

/** The program that carries a supervisor, while it runs. Where there is none, nothing ends and nothing fails. */
export class CarrierProcess {
  readonly #carrier: Carrier;
  #child: Child | undefined;
  #said = '';

  constructor(carrier: Carrier) {
    this.#carrier = carrier;
  }

  get started(): boolean {
    return this.#child !== undefined;
  }

  start(prepared: PreparedCarrier, attempt: CarrierAttempt): void {
    this.#said = '';
    const child = prepared.start(attempt);
    child.process.stderr?.on('data', (piece: Buffer) => {
      this.#said = (this.#said + piece.toString('utf8')).slice(-2000);
    });
    this.#child = child;
  }

  async end(): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    const { graceMs } = this.#carrier;
    if (graceMs > 0 && child.process.kill('SIGTERM')) {
      await Promise.race([child.ended, sleep(graceMs, undefined, { ref: false })]);
    }
    child.process.kill('SIGKILL');
    await child.ended;
    this.#child = undefined;
  }

  /**
   * The result of a step, or the failure of a carrier that ended before. `isChannelGone` tells whether the channel process
   * itself ended, which is then the failure.
   */
  async orEnd<T>(step: Promise<T>, isChannelGone: () => boolean): Promise<T> {
    const child = this.#child;
    if (child === undefined) return await step;
    const ended = child.ended.then(async (): Promise<never> => {
      // What the guest said last may still be on its way, and says more than that it is gone.
      await sleep(200, undefined, { ref: false });
      throw await this.#failure(child);
    });
    try {
      return await Promise.race([step, ended]);
    } catch (error) {
      // A guest powers off when its host is gone, so the end of the channel process comes before that of the carrier.
      if (!isTapwardenError(error, 'CHANNEL_CLOSED') || isChannelGone()) throw error;
      await Promise.race([child.ended, sleep(1000, undefined, { ref: false })]);
      throw child.process.exitCode === null && child.process.signalCode === null
        ? error
        : await this.#failure(child, error);
    } finally {
      ended.catch(() => undefined);
    }
  }

  async #failure(child: Child, cause?: unknown): Promise<TapwardenError> {
    return this.#carrier.failure(await child.ended, this.#said.trim(), cause);
  }
}
