import type { DeniedGroup, DeniedPacketFact } from '../channel/index.ts';
import { type Change, hasPorts, type Kinds, kindOf } from './fence-reading.ts';

/** What a reading settles: lines that waited for their port, and packets that no line told of. */
export type Settled = { readonly facts: readonly DeniedPacketFact[]; readonly groups: readonly DeniedGroup[] };

type Missing = { readonly mark: number; readonly destination: string; readonly protocol: number } & {
  readonly port: number | null;
  packets: number;
};

/**
 * Keeps what log lines told of against what the fence counted, by exec, destination, protocol and port, so that each
 * refused packet is told of once: by its own line, or in a group of those that have none.
 *
 * A packet is counted before its line is logged. So when a reading of the sets is over and after that all lines of the
 * log were read, the lines of all packets in the reading have been taken; those that are missing were never written, or
 * are lost. Lines that run ahead of the reading wait for the next one.
 *
 * Some lines have no port although the fence may have counted one: those of SCTP and DCCP, of fragments and of headers
 * that were cut off, of which the kernel prints no mark either. They are held until a reading. Where one port alone of
 * their destination has packets that no line told of, they are of that port (and, if need be, of that mark); else it stays
 * unknown.
 */
export class Ledger {
  /** Lines by key whose packets no reading told of yet: those from before the last reading, and the later ones. */
  #earlier = new Map<string, number>();
  #later = new Map<string, number>();
  #held: DeniedPacketFact[] = [];
  readonly #told = { tcp: 0, udp: 0, other: 0 };
  #lines = 0;

  /** Packets that a line told of, or a group. */
  get told(): Kinds {
    return { ...this.#told };
  }

  /** Lines that were taken. */
  get lines(): number {
    return this.#lines;
  }

  /** Whether lines wait for a reading, because of their port or because there are many of them. */
  get wantsReading(): boolean {
    return this.#held.length > 0 || this.#earlier.size + this.#later.size > manyKeys;
  }

  /** Takes a line; gives it back where it need not wait. */
  take(fact: DeniedPacketFact): DeniedPacketFact | undefined {
    this.#lines += 1;
    this.#told[kindOf(fact.protocol)] += 1;
    if ((fact.destinationPort === null && hasPorts(fact.protocol)) || isCutOff(fact)) {
      this.#held.push(fact);
      return undefined;
    }
    const key = keyOf(fact.mark ?? 0, fact.destination, fact.protocol, fact.destinationPort);
    this.#later.set(key, (this.#later.get(key) ?? 0) + 1);
    return fact;
  }

  /**
   * Takes the changes of a reading, after the log has been read to its end. `overflow` says whether the sets ever had no
   * place for a packet: then lines whose packets did not come up for two readings are of such packets, and are forgotten.
   */
  apply(changes: readonly Change[], overflow: boolean): Settled {
    const missing = new Map<string, Missing>();
    for (const [mark, destination, protocol, port, counted] of changes) {
      const key = keyOf(mark, destination, protocol, port);
      const packets = counted - this.#match(key, counted);
      const before = missing.get(key);
      if (before !== undefined) before.packets += packets;
      else if (packets > 0) missing.set(key, { mark, destination, protocol, port, packets });
    }
    this.#matchPortsWithoutPlace(missing);
    const facts = this.#settleHeld(missing);
    const groups: DeniedGroup[] = [];
    for (const group of missing.values()) {
      if (group.packets === 0) continue;
      this.#told[kindOf(group.protocol)] += group.packets;
      groups.push(group);
    }
    if (overflow) this.#earlier = new Map();
    for (const [key, lines] of this.#later) this.#earlier.set(key, (this.#earlier.get(key) ?? 0) + lines);
    this.#later = new Map();
    return { facts, groups };
  }

  /** Gives back the lines that still wait, without a port. */
  release(): readonly DeniedPacketFact[] {
    const held = this.#held;
    this.#held = [];
    return held;
  }

  /** Takes up to `wanted` lines of a key for packets that were counted, and says how many there were. */
  #match(key: string, wanted: number): number {
    let left = wanted;
    for (const lines of [this.#earlier, this.#later]) {
      const there = lines.get(key) ?? 0;
      const taken = Math.min(there, left);
      if (taken === 0) continue;
      if (taken === there) lines.delete(key);
      else lines.set(key, there - taken);
      left -= taken;
    }
    return wanted - left;
  }

  /** Packets with a port that the set with ports had no place for were counted without it; their lines have it. */
  #matchPortsWithoutPlace(missing: ReadonlyMap<string, Missing>): void {
    const portless = [...missing.values()].filter(({ port, protocol }) => port === null && hasPorts(protocol));
    if (portless.length === 0) return;
    const byPlace = new Map<string, string[]>();
    for (const key of [...this.#earlier.keys(), ...this.#later.keys()]) {
      const place = key.slice(0, key.lastIndexOf(' '));
      const keys = byPlace.get(place);
      if (keys === undefined) byPlace.set(place, [key]);
      else keys.push(key);
    }
    for (const group of portless) {
      for (const key of byPlace.get(placeOf(group)) ?? []) {
        if (group.packets === 0) break;
        group.packets -= this.#match(key, group.packets);
      }
    }
  }

  /** Finds the ports of held lines; the lines that ran ahead of the reading go on waiting. */
  #settleHeld(missing: Map<string, Missing>): readonly DeniedPacketFact[] {
    const held = this.#held;
    this.#held = [];
    const [cutOff, marked] = [held.filter(isCutOff), held.filter((fact) => !isCutOff(fact))];
    return [
      ...this.#settlePlaces(
        missing,
        marked,
        ({ mark, destination, protocol }) => `${mark ?? 0} ${destination} ${protocol}`,
      ),
      // What is left of the destination, whoever sent it.
      ...this.#settlePlaces(missing, cutOff, ({ destination, protocol }) => `${destination} ${protocol}`),
    ];
  }

  #settlePlaces(
    missing: Map<string, Missing>,
    lines: readonly DeniedPacketFact[],
    placeOf: (packet: Pick<DeniedPacketFact, 'mark' | 'destination' | 'protocol'>) => string,
  ): readonly DeniedPacketFact[] {
    const places = new Map<string, { readonly lines: DeniedPacketFact[]; readonly groups: Missing[] }>();
    for (const line of lines) {
      const place = places.get(placeOf(line));
      if (place === undefined) places.set(placeOf(line), { lines: [line], groups: [] });
      else place.lines.push(line);
    }
    if (places.size > 0) {
      for (const group of missing.values()) if (group.packets > 0) places.get(placeOf(group))?.groups.push(group);
    }
    return [...places].flatMap(([place, { lines: here, groups }]) => {
      const packets = groups.reduce((sum, group) => sum + group.packets, 0);
      const taken = Math.min(here.length, packets);
      const only = groups.length === 1 ? groups[0] : undefined;
      this.#held.push(...here.slice(taken));
      if (taken > 0) spend(missing, groups, packets - taken, place);
      return here.slice(0, taken).map((fact) => ({
        ...fact,
        mark: only === undefined || only.mark === 0 ? fact.mark : only.mark,
        destinationPort: only?.port ?? fact.destinationPort,
      }));
    });
  }
}

/** Leaves `left` packets of the groups. Of which of several groups they are is not known, nor then their port. */
function spend(missing: Map<string, Missing>, groups: readonly Missing[], left: number, place: string): void {
  const [first, ...others] = groups;
  if (first === undefined) return;
  for (const group of groups) group.packets = others.length === 0 ? left : 0;
  if (others.length === 0 || left === 0) return;
  const mark = others.every((group) => group.mark === first.mark) ? first.mark : 0;
  missing.set(`${place} ?`, { ...first, mark, port: null, packets: left });
}

/** The kernel breaks off a line at a header that is cut off, before it prints owner and mark. */
function isCutOff({ raw }: DeniedPacketFact): boolean {
  return / INCOMPLETE \[\d+ bytes\]/.test(raw);
}

/** So many keys with lines are as many as one reading of the sets should be worth. */
const manyKeys = 20_000;

function keyOf(mark: number, destination: string, protocol: number, port: number | null): string {
  return `${mark} ${destination} ${protocol} ${port ?? '-'}`;
}

function placeOf({ mark, destination, protocol }: Omit<Missing, 'port' | 'packets'>): string {
  return `${mark} ${destination} ${protocol}`;
}
