import type { Run } from '../base/index.ts';
import type { DeniedPacketFact } from '../channel/index.ts';
import { readSetElements } from '../nft/index.ts';
import { fenceTable, unprintedSets } from './fence.ts';
import { inWorkloadNamespace } from './fence-loader.ts';

/** Protocols with ports that the kernel's log line does not print: DCCP and SCTP. */
const protocols: Readonly<Record<string, number>> = { dccp: 33, sctp: 132 };

const pauseMs = 100;

/**
 * Finds the ports of packets whose log line has none, in the sets that the fence fills beside: where since the last look
 * packets of one destination and protocol went to one port alone, that is the port of all of them. Else it stays unknown.
 *
 * Such facts wait a moment, so that a burst costs one look; the others pass at once.
 */
export class UnprintedPorts {
  readonly #run: Run;
  readonly #onFact: (fact: DeniedPacketFact) => void;
  readonly #seen = new Map<string, number>();
  #waiting: DeniedPacketFact[] = [];
  #timer: NodeJS.Timeout | undefined;
  #look: Promise<void> = Promise.resolve();

  constructor(run: Run, onFact: (fact: DeniedPacketFact) => void) {
    this.#run = run;
    this.#onFact = onFact;
  }

  /** Takes a fact; passes it on now, or with its port in a moment. */
  take(fact: DeniedPacketFact): void {
    if (fact.destinationPort !== null || !Object.values(protocols).includes(fact.protocol)) {
      this.#onFact(fact);
      return;
    }
    this.#waiting.push(fact);
    this.#timer ??= setTimeout(() => void this.settle(), pauseMs);
  }

  /** Resolves when no fact waits any more. */
  async settle(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#look = this.#look.then(async () => await this.#lookUp());
    await this.#look;
  }

  async #lookUp(): Promise<void> {
    const facts = this.#waiting;
    this.#waiting = [];
    if (facts.length === 0) return;
    const ports = await this.#portsSinceLastLook();
    const placeOf = ({ destination, protocol }: DeniedPacketFact): string => `${destination} ${protocol}`;
    for (const fact of facts) {
      const found = ports.get(placeOf(fact));
      const told = facts.filter((other) => placeOf(other) === placeOf(fact)).length;
      // More lines than packets in the set: some had no place in it, or no port at all.
      const sure = found !== undefined && found.ports.length === 1 && told <= found.packets;
      this.#onFact({ ...fact, destinationPort: sure ? (found.ports[0] ?? null) : null });
    }
  }

  /** For each destination and protocol the ports to which packets went since the last look, and how many. */
  async #portsSinceLastLook(): Promise<ReadonlyMap<string, Found>> {
    const ports = new Map<string, Found>();
    for (const { name } of Object.values(unprintedSets)) {
      // Without the sets the ports stay unknown, and the facts are told all the same.
      const elements = await readSetElements({ run: this.#run, enter: inWorkloadNamespace }, fenceTable, name).catch(
        () => [],
      );
      for (const { key, packets } of elements) {
        const [address, protocol, port] = key;
        const number = typeof protocol === 'number' ? protocol : protocols[protocol ?? ''];
        const place = `${address} ${number}`;
        const id = `${place} ${port}`;
        const grown = packets - (this.#seen.get(id) ?? 0);
        if (grown === 0 || typeof port !== 'number') continue;
        this.#seen.set(id, packets);
        const before = ports.get(place) ?? { ports: [], packets: 0 };
        ports.set(place, { ports: [...before.ports, port], packets: before.packets + grown });
      }
    }
    return ports;
  }
}

type Found = { readonly ports: readonly number[]; readonly packets: number };
