import { TapwardenError } from '../../base/index.ts';
import type { GuestMessage } from '../../channel/index.ts';
import type { CanaryLink, CanaryMissedInput } from '../../ocsf/index.ts';

/** How canaries are watched. */
export type CanaryWatchOptions = {
  /** How often the guest is to tell of a round. */
  readonly intervalMs: number;
  /** How much later than that it may be. */
  readonly graceMs: number;
  /** Epoch milliseconds. */
  readonly now: () => number;
  /** Names the findings of this run, for example `'canary/job/1790000000123'`; a number is added. */
  readonly uid: string;
  readonly onFinding: (finding: CanaryMissedInput) => void;
};

type OpenFinding = { readonly uid: string; readonly since: number; missed: number } & {
  link: CanaryLink;
  packet: CanaryMissedInput['packet'];
};

/**
 * The host's half of the canaries: what the guest says is broken, and a guest that says nothing any more, is a finding. One
 * stays open for as long as rounds are missed, however many. Of what the guest says a word from a short list is taken, no text.
 */
export class CanaryWatch {
  readonly #options: CanaryWatchOptions;
  readonly #begun: number;
  #number = 0;
  #findings = 0;
  #open: OpenFinding | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: CanaryWatchOptions) {
    this.#options = options;
    this.#begun = options.now();
  }

  /** From now on a round must come in time. */
  start(): void {
    this.#expectNext();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /**
   * Takes what a guest says of a round.
   *
   * @throws CHANNEL_PROTOCOL when it numbers its rounds wrongly, or tells of more than there can be
   */
  report({ number, broken, packet }: Extract<GuestMessage, { kind: 'canary' }>): void {
    const { intervalMs, now } = this.#options;
    // Twice as many as the interval allows, because a guest's clock and ours differ.
    const most = 3 + (2 * (now() - this.#begun)) / intervalMs;
    if (number !== this.#number + 1 || number > most) {
      throw new TapwardenError('CHANNEL_PROTOCOL', { message: `The guest told of canaries ${number} out of turn` });
    }
    this.#number = number;
    if (this.#timer !== undefined) this.#expectNext();
    if (broken === null) this.#close();
    else this.#miss(broken, packet);
  }

  #expectNext(): void {
    const { intervalMs, graceMs } = this.#options;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#miss('reported', null);
      this.#expectNext();
    }, intervalMs + graceMs);
  }

  #miss(link: CanaryLink, packet: CanaryMissedInput['packet']): void {
    const time = this.#options.now();
    const open = this.#open;
    if (open === undefined) {
      this.#findings += 1;
      this.#open = { uid: `${this.#options.uid}/${this.#findings}`, since: time, link, packet, missed: 1 };
      return this.#tell('create', time, this.#open);
    }
    open.missed += 1;
    open.link = link;
    open.packet = packet;
    this.#tell('update', time, open);
  }

  #close(): void {
    const open = this.#open;
    this.#open = undefined;
    if (open !== undefined) this.#tell('close', this.#options.now(), open);
  }

  #tell(step: CanaryMissedInput['step'], time: number, finding: OpenFinding): void {
    this.#options.onFinding({ step, time: Math.max(time, finding.since), ...finding });
  }
}
