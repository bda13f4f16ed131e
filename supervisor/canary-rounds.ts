import { TapwardenError } from '../base/index.ts';
import type { GuestMessage } from '../channel/index.ts';
import type { Canaries, CanaryRound } from './canaries.ts';

/** What rounds are made of. */
export type CanaryRoundsOptions = {
  readonly canaries: Pick<Canaries, 'round'>;
  readonly intervalMs: number;
  readonly send: (message: Extract<GuestMessage, { kind: 'canary' }>) => void;
};

/** How long the host may take to say that it has the first round. */
const acknowledgeMs = 5000;

/**
 * Sends canaries before the first exec and then again and again, and tells the host what came of each round. The host
 * judges: what it hears nothing of is missed too.
 */
export class CanaryRounds {
  readonly #options: CanaryRoundsOptions;
  #number = 0;
  #acknowledged: () => void = () => undefined;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(options: CanaryRoundsOptions) {
    this.#options = options;
  }

  /**
   * Makes the first round, waits until the host has it, and begins with the others. Returns the mark that a packet from
   * `cgroup`, the directory of an exec's, arrived with; `null` where no line tells.
   *
   * @throws CANARY_MISSED when a packet was not refused or not told of, or the host does not acknowledge it
   */
  async begin(cgroup?: string): Promise<number | null> {
    const round = await this.#options.canaries.round(cgroup);
    const seen = this.#acknowledgement();
    this.#tell(round);
    if (round.broken !== null) throw missed(round.detail);
    if (!(await seen)) throw missed(`the host did not acknowledge a canary within ${acknowledgeMs} ms`);
    this.#schedule();
    return round.mark;
  }

  /** Takes the host's word that it has a round. */
  seen(number: number): void {
    if (number === this.#number) this.#acknowledged();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  async #acknowledgement(): Promise<boolean> {
    return await new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), acknowledgeMs);
      this.#acknowledged = () => {
        clearTimeout(timer);
        resolve(true);
      };
    });
  }

  #tell({ broken, packet }: CanaryRound): void {
    this.#number += 1;
    this.#options.send({ kind: 'canary', number: this.#number, broken, packet });
  }

  #schedule(): void {
    if (this.#stopped) return;
    const again = async (): Promise<void> => {
      const round = await this.#options.canaries.round();
      if (!this.#stopped) this.#tell(round);
      this.#schedule();
    };
    // A round does not throw: what cannot be sent is its result.
    this.#timer = setTimeout(() => void again(), this.#options.intervalMs);
  }
}

function missed(detail: string): TapwardenError {
  return new TapwardenError('CANARY_MISSED', {
    message: `A packet by which the fence is tried did not arrive in the record: ${detail}`,
    hint: 'No workload starts of which attempts might go untold.',
  });
}
