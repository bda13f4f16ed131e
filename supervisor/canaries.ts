import { randomInt } from 'node:crypto';
import type { DeniedPacketFact } from '../channel/index.ts';
import { type Canary, sendCanary } from './canary-packet.ts';
import { canaryBit } from './fence.ts';

/** Where canaries are sent from, and how it is known that all log lines up to now were read. */
export type CanariesOptions = {
  /** Where the workload's network namespace is bound. */
  readonly namespace: string;
  readonly settleLog: () => Promise<boolean>;
};

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
   * Whether a packet of an exec's cgroup arrives in the log with the exec's mark.
   *
   * @param cgroup the directory of the exec's cgroup
   */
  async marksExec(cgroup: string, mark: number): Promise<boolean> {
    // A line that does not come may have been lost; a mark that is wrong stays so.
    for (let attempt = 0; attempt < 3; attempt += 1) {
      const line = await this.#send(freshCanary('udp', 4), cgroup);
      if (line !== undefined) return line.mark === canaryBit + mark;
    }
    return false;
  }

  /** Sends one and returns its line; `undefined` where none came although the log was read. */
  async #send(canary: Canary, cgroup?: string): Promise<DeniedPacketFact | undefined> {
    const key = keyOf(canary.address, canary.port);
    this.#lines.set(key, undefined);
    try {
      await sendCanary(this.#options.namespace, canary, cgroup);
      await this.#options.settleLog();
      return this.#lines.get(key);
    } finally {
      this.#lines.delete(key);
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

function keyOf(address: string, port: number | null): string {
  return `${address} ${port}`;
}
