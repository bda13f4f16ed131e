import { messageOf } from '../base/index.ts';
import type { BrokenLink, CanaryPacket, DeniedPacketFact } from '../channel/index.ts';
import { type Canary, sendCanary } from './canary-packet.ts';
import { canaryBit } from './fence.ts';
import { randomBelow } from './kernel-random.ts';

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
  /** The exec's mark on the packet that was sent from a cgroup, 0 where it had none; `null` where no line tells. */
  readonly mark: number | null;
};

const unlogged: CanaryRound = { broken: null, packet: null, detail: '', mark: null };

/** The one that is sent from an exec's cgroup, if any is. */
const markedPacket: CanaryPacket = 'udp4';

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
   * Sends a connect and a datagram over each of IPv4 and IPv6, and says what came of them. With `cgroup`, the directory of an
   * exec's cgroup, the first datagram is sent from there, and its mark shows whether the kernel tells whose packets are.
   */
  async round(cgroup?: string): Promise<CanaryRound> {
    let last = unlogged;
    for (let attempt = 0; attempt < attempts; attempt += 1) {
      last = await this.#roundOnce(cgroup);
      if (last.broken === null) break;
    }
    return last;
  }

  async #roundOnce(cgroup: string | undefined): Promise<CanaryRound> {
    const { namespace, logging, settleLog } = this.#options;
    const canaries = kinds.map(({ protocol, version }) => freshCanary(protocol, version));
    return await this.#watched(canaries, async () => {
      try {
        for (const canary of canaries) {
          const outcome = await sendCanary(namespace, canary, packetOf(canary) === markedPacket ? cgroup : undefined);
          if (outcome === 'not-refused') {
            const detail = `${nameOf(canary)} was not refused`;
            return { ...unlogged, broken: 'refused', packet: packetOf(canary), detail };
          }
        }
      } catch (error) {
        return { ...unlogged, broken: 'sent', detail: messageOf(error).split('\n')[0] ?? '' };
      }
      if (!logging) return unlogged;
      const settled = await settleLog();
      const lines = canaries.map(({ address, port }) => this.#lines.get(keyOf(address, port)));
      const marked = lines[canaries.findIndex((canary) => packetOf(canary) === markedPacket)];
      const seen = { ...unlogged, mark: marked === undefined ? null : (marked.mark ?? 0) & ~canaryBit };
      const missing = canaries[lines.indexOf(undefined)];
      if (missing === undefined) return seen;
      return settled
        ? {
            ...seen,
            broken: 'logged',
            packet: packetOf(missing),
            detail: `${nameOf(missing)} was refused and left no line`,
          }
        : { ...seen, broken: 'read', detail: 'the kernel log could not be read to its end' };
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
  const port = 1024 + randomBelow(64_512);
  const address =
    version === 4 ? `203.0.113.${1 + randomBelow(254)}` : `2001:db8:7477::${(1 + randomBelow(0xffff)).toString(16)}`;
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
