import type { Run } from '../base/index.ts';
import type { DeniedPacketFact } from '../channel/index.ts';
import { readSetElements } from '../nft/index.ts';
import { fenceTable, unprintedSets } from './fence.ts';
import { inWorkloadNamespace } from './fence-loader.ts';

/** Protocols with ports that the kernel's log line does not print: DCCP and SCTP. */
const protocols: Readonly<Record<string, number>> = { dccp: 33, sctp: 132 };

const pauseMs = 100;

/**
 * Finds the ports of packets whose log line has none, in the sets that the fence fills beside: where one port alone of a
 * destination and protocol has packets that no line was told of yet, the lines are of that port. Else it stays unknown.
 *
 * Such facts wait a moment, so that a burst costs one look; the others pass at once.
 */
export class UnprintedPorts {
  readonly #run: Run;
  readonly #onFact: (fact: DeniedPacketFact) => void;
  /** Packets of each destination, protocol and port of which lines were told. */
  readonly #told = new Map<string, number>();
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
    const places = await this.#untoldPackets();
    for (const [place, lines] of groupByPlace(facts)) {
      const port = this.#portOf(places.get(place) ?? [], lines.length);
      for (const fact of lines) this.#onFact({ ...fact, destinationPort: port });
    }
  }

  /** The one port that so many lines of a place are of, if that is sure; notes which packets they told of. */
  #portOf(untold: readonly Untold[], lines: number): number | null {
    const [only, ...others] = untold;
    if (only !== undefined && others.length === 0 && lines <= only.packets - only.told) {
      // Not all of its packets: one that came while the set was read has its line still to come.
      this.#told.set(only.id, only.told + lines);
      return only.port;
    }
    // More ports than one, or more lines than packets, of which some had no place in the set: start anew from here.
    for (const { id, packets } of untold) this.#told.set(id, packets);
    return null;
  }

  /** For each destination and protocol the ports with packets that no line was told of. */
  async #untoldPackets(): Promise<ReadonlyMap<string, readonly Untold[]>> {
    const places = new Map<string, Untold[]>();
    for (const { name, size } of Object.values(unprintedSets)) {
      // Without the sets the ports stay unknown, and the facts are told all the same.
      const elements = await readSetElements({ run: this.#run, enter: inWorkloadNamespace }, fenceTable, name).catch(
        () => [],
      );
      // A port that found no place in a full set would be taken for another one.
      if (size !== undefined && elements.length >= size) continue;
      for (const { key, packets } of elements) {
        const [address, protocol, port] = key;
        const place = `${address} ${typeof protocol === 'number' ? protocol : protocols[protocol ?? '']}`;
        const id = `${place} ${port}`;
        const told = this.#told.get(id) ?? 0;
        if (packets === told || typeof port !== 'number') continue;
        places.set(place, [...(places.get(place) ?? []), { id, port, packets, told }]);
      }
    }
    return places;
  }
}

type Untold = { readonly id: string; readonly port: number; readonly packets: number; readonly told: number };

function groupByPlace(facts: readonly DeniedPacketFact[]): ReadonlyMap<string, readonly DeniedPacketFact[]> {
  const groups = new Map<string, DeniedPacketFact[]>();
  for (const fact of facts) {
    const place = `${fact.destination} ${fact.protocol}`;
    groups.set(place, [...(groups.get(place) ?? []), fact]);
  }
  return groups;
}
