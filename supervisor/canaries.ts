import { randomInt } from 'node:crypto';
import { messageOf } from '../base/index.ts';
import type { BrokenLink, CanaryPacket, DeniedPacketFact } from '../channel/index.ts';
import { type Canary, sendCanary } from './canary-packet.ts';
import { canaryBit } from './fence.ts';

/** Where canaries are sent from, and how it is known that all log lines up to now were read. */
export type CanariesOptions = {
  /** Where the workload's network namespace is bound. */
  readonly namespace: string;
  /** Whether the fence logs. Where it does not, a canary is refused and nothing more is to be seen of it. */
  readonly logging: boolean;
  readonly settleLog: () => Promise<boolean>;
};

/** What came of one round: the first link that broke, in the order in which a refused packet passes them. */
export type CanaryRound = {
  readonly broken: BrokenLink | null;
  /** The packet that it was seen by, where it was one. */
  readonly packet: CanaryPacket | null;
  /** What was seen, for a person; empty where nothing is broken. */
  readonly detail: string;
};

/** The cgroup of an exec, by its directory, and the mark that its packets have. */
export type ExpectedMark = { readonly cgroup: string; readonly mark: number };

const whole: CanaryRound = { broken: null, packet: null, detail: '' };

/** A round is made anew before it is believed that something broke: under a flood a line may be lost. */
const attempts = 3;

const kinds = (['tcp', 'udp'] as const).flatMap((protocol) =>
  ([4, 6] as const).map((version) => ({ protocol, version })),
);

/**
 * Sends packets of which it is known that the fence must refuse them, and sees whether their lines come: what refuses,
 * logs, reads and parses them does so with every other packet.
 */
export class Canaries {
  readonly #options: CanariesOptions;
  /** The canaries that are on their way, and their lines. */
  readonly #lines = new Map<string, DeniedPacketFact | undefined>();

  constructor(options: CanariesOptions) {
    this.#options = options;
  }

  /** Takes a line of the log, if it is of a canary: those are no attempts. */
  take(line: DeniedPacketFact): boolean {
    if (((line.mark ?? 0) & canaryBit) === 0) return false;
    const key = keyOf(line.destination, line.destinationPort);
    if (this.#lines.has(key)) this.#lines.set(key, line);
    return true;
  }

  /**
   * Whether a packet of an exec's cgroup arrives in the log with the exec's mark. What cannot be seen there cannot be
   * relied on.
   */
  async marksExec({ cgroup, mark }: ExpectedMark): Promise<boolean> {
    if (!this.#options.logging) return false;
    for (let attempt = 0; attempt < attempts; attempt += 1) {
      const canary = freshCanary('udp', 4);
      const line = await this.#watched([canary], async () => {
        await sendCanary(this.#options.namespace, canary, cgroup);
        await this.#options.settleLog();
        return this.#lines.get(keyOf(canary.address, canary.port));
      });
      // A line that does not come may be lost; a mark that is wrong stays so.
      if (line !== undefined) return line.mark === canaryBit + mark;
    }
    return false;
  }

  /** Sends a connect and a datagram over each of IPv4 and IPv6, and says what came of them. */
  async round(): Promise<CanaryRound> {
    let last = whole;
    for (let attempt = 0; attempt < attempts; attempt += 1) {
      last = await this.#roundOnce();
      if (last.broken === null) break;
    }
    return last;
  }

  async #roundOnce(): Promise<CanaryRound> {
    const { namespace, logging, settleLog } = this.#options;
    const canaries = kinds.map(({ protocol, version }) => freshCanary(protocol, version));
    return await this.#watched(canaries, async () => {
      try {
        for (const canary of canaries) {
          if ((await sendCanary(namespace, canary)) === 'not-refused') {
            return { broken: 'refused', packet: packetOf(canary), detail: `${nameOf(canary)} was not refused` };
          }
        }
      } catch (error) {
        return { broken: 'sent', packet: null, detail: messageOf(error).split('\n')[0] ?? '' };
      }
      if (!logging) return whole;
      const settled = await settleLog();
      const missing = canaries.find(({ address, port }) => this.#lines.get(keyOf(address, port)) === undefined);
      if (missing === undefined) return whole;
      return settled
        ? { broken: 'logged', packet: packetOf(missing), detail: `${nameOf(missing)} was refused and left no line` }
        : { broken: 'read', packet: null, detail: 'the kernel log could not be read to its end' };
    });
  }

  async #watched<T>(canaries: readonly Canary[], body: () => Promise<T>): Promise<T> {
    const keys = canaries.map(({ address, port }) => keyOf(address, port));
    for (const key of keys) this.#lines.set(key, undefined);
    try {
      return await body();
    } finally {
      for (const key of keys) this.#lines.delete(key);
    }
  }
}

/** A canary to an address and port that hardly another one had. */
function freshCanary(protocol: Canary['protocol'], version: 4 | 6): Canary {
  const port = randomInt(1024, 65_536);
  const address =
    version === 4 ? `203.0.113.${randomInt(1, 255)}` : `2001:db8:7477::${randomInt(1, 0x10000).toString(16)}`;
  return { protocol, address, port };
}

function nameOf({ protocol, address }: Canary): string {
  return `${protocol === 'tcp' ? 'a TCP connect' : 'a UDP datagram'} over IPv${address.includes(':') ? 6 : 4}`;
}

function packetOf({ protocol, address }: Canary): CanaryPacket {
  return `${protocol}${address.includes(':') ? 6 : 4}`;
}

function keyOf(address: string, port: number | null): string {
  return `${address} ${port}`;
}
