import { setTimeout as sleep } from 'node:timers/promises';
import { isTapwardenError } from '../base/index.ts';
import type { NfnetlinkSocket } from './nfnetlink-socket.ts';
import {
  countElements,
  type DumpedKind,
  dumpedKinds,
  identityOf,
  parseElements,
  parsePart,
  parseSetHead,
  partElementsRequest,
  partsRequest,
  type RulesetPart,
  type SetHead,
} from './ruleset-dump.ts';
import { elementRequest } from './ruleset-replay.ts';

/** A part as the kernel told of it. */
export type DumpedPart = { readonly kind: DumpedKind; readonly payload: Buffer };
/** The elements of a set as the kernel told of them. */
type DumpedElements = { readonly set: SetHead; readonly payloads: readonly Buffer[] };

/**
 * A ruleset as it was read, of which hardly anything is made yet: to make parts of it takes an emulated processor far longer than to
 * read it, and most are never looked at.
 */
export type RulesetSnapshot = {
  readonly dumped: readonly DumpedPart[];
  readonly elements: readonly DumpedElements[];
  /** Which generation all of it is of; `undefined` where it changed meanwhile. */
  readonly generation: number | undefined;
};

/** A ruleset as it was read. */
export type RulesetReading = { readonly parts: readonly RulesetPart[]; readonly generation: number | undefined };

/** Bytes of struct nfgenmsg, which begins every payload, and has the generation in it. */
const genericBytes = 4;
/** Pauses before a set is read again of which the kernel may have passed over elements. */
const pausesMs: readonly number[] = [5, 10, 20, 40, 80];

/**
 * Reads all rulesets of the network namespace of a socket: every table, chain, rule, set and named object, in the kernel's order, and
 * the elements of sets that commands alone change, sorted. Parts that are as they were read last are the same objects again.
 *
 * Errors of all that reads: NOT_ROOT, NFT_UNREADABLE as {@link NfnetlinkSocket.dump} has them.
 */
export class RulesetReader {
  readonly #socket: NfnetlinkSocket;
  /** The parts that were read last, by what the kernel told of them. */
  #known: ReadonlyMap<string, RulesetPart> = new Map();
  readonly #made = new WeakMap<DumpedPart, readonly [identity: string, part: RulesetPart]>();
  readonly #madeElements = new WeakMap<DumpedElements, readonly RulesetPart[]>();
  /**
   * Elements of sets that cannot change, which are asked for once, by the handles of their table and set, which the kernel gives once;
   * and again while there are fewer than the set was made for: a set that is being enlarged may show some only later.
   */
  #fixed = new Map<string, DumpedElements>();

  constructor(socket: NfnetlinkSocket) {
    this.#socket = socket;
  }

  /** Reads everything, and makes parts of it. */
  async read(): Promise<RulesetReading> {
    const snapshot = await this.snapshot();
    return { parts: this.partsOf(snapshot), generation: snapshot.generation };
  }

  /** Reads everything. */
  async snapshot(): Promise<RulesetSnapshot> {
    const begun = await this.#socket.generation();
    const dumped: DumpedPart[] = [];
    for (const kind of dumpedKinds) {
      const start = dumped.length;
      await this.#socket.dump(partsRequest(kind), `the ${kind}s of the namespace`, {
        begin: () => dumped.splice(start),
        onPayload: (payload) => dumped.push({ kind, payload }),
      });
    }
    const elements = await this.#staticElements(dumped);
    const ended = await this.#socket.generation();
    return { dumped, elements, generation: begun === ended ? begun : undefined };
  }

  /** Reads everything, and the elements of sets again until nothing was passed over, where that can be. */
  async wholeSnapshot(): Promise<RulesetSnapshot> {
    const { dumped, elements, generation } = await this.snapshot();
    let found: readonly DumpedElements[] = elements;
    for (const pauseMs of pausesMs) {
      const before = found;
      const again: DumpedElements[] = [];
      for (const one of before) again.push(one.set.elements === 'changed' ? await this.#elementsOf(one.set) : one);
      found = again;
      if (found.every((one, index) => isSame(one, before[index]))) break;
      await sleep(pauseMs);
    }
    return { dumped, elements: found, generation };
  }

  /** Makes all parts of a snapshot. */
  partsOf({ dumped, elements }: RulesetSnapshot): readonly RulesetPart[] {
    const seen = new Map<string, RulesetPart>();
    const parts = dumped.map((one) => {
      const part = this.partOf(one);
      seen.set(this.#made.get(one)?.[0] ?? '', part);
      return part;
    });
    this.#known = seen;
    return [...parts, ...elements.flatMap((one) => this.#partsOfElements(one))];
  }

  /** Makes one part of a snapshot. */
  partOf(dumped: DumpedPart): RulesetPart {
    const made = this.#made.get(dumped);
    if (made !== undefined) return made[1];
    const { kind, payload } = dumped;
    const identity = identityOf(kind, payload);
    const part = this.#known.get(identity) ?? parsePart(kind, payload);
    this.#made.set(dumped, [identity, part]);
    return part;
  }

  /** Whether a set has an element now; unlike a dump this passes over none. */
  async holds(element: RulesetPart): Promise<boolean> {
    let held = false;
    try {
      await this.#socket.ask(elementRequest(element), `an element of ${element.name}`, () => {
        held = true;
      });
    } catch (error) {
      if (!isTapwardenError(error, 'NFT_NOT_FOUND')) throw error;
    }
    return held;
  }

  async #staticElements(dumped: readonly DumpedPart[]): Promise<readonly DumpedElements[]> {
    const of = (kind: 'table' | 'set'): readonly SetHead[] =>
      dumped.filter((one) => one.kind === kind).map(({ payload }) => parseSetHead(kind, payload));
    const tables = new Map(of('table').map((table) => [tableOf(table), table.handle]));
    const known = this.#fixed;
    this.#fixed = new Map();
    const elements: DumpedElements[] = [];
    for (const set of of('set')) {
      if (set.elements === 'live') continue;
      const place = `${tables.get(tableOf(set))} ${set.handle}`;
      const found = known.get(place) ?? (await this.#elementsOf(set));
      elements.push(found);
      if (set.elements === 'fixed' && countOf(found) === set.size) this.#fixed.set(place, found);
    }
    return elements;
  }

  /** A set that is gone by now has no elements: what is missed of it is told of with the set. */
  async #elementsOf(set: SetHead): Promise<DumpedElements> {
    const payloads: Buffer[] = [];
    try {
      await this.#socket.dump(partElementsRequest(set), `the set ${set.name} of ${set.table}`, {
        begin: () => payloads.splice(0),
        // A copy, as some are kept, and the datagram is larger by far.
        onPayload: (payload) => payloads.push(Buffer.from(payload)),
      });
    } catch (error) {
      if (!isTapwardenError(error, 'NFT_NOT_FOUND')) throw error;
    }
    return { set, payloads };
  }

  #partsOfElements(dumped: DumpedElements): readonly RulesetPart[] {
    const made =
      this.#madeElements.get(dumped) ??
      dumped.payloads
        .flatMap((payload) => parseElements(dumped.set, payload))
        // The kernel keeps them in any order.
        .toSorted((a, b) => (a.content < b.content ? -1 : 1));
    this.#madeElements.set(dumped, made);
    return made;
  }
}

const tableOf = ({ family, table }: SetHead): string => `${family} ${table}`;

function countOf({ payloads }: DumpedElements): number {
  return payloads.reduce((sum, payload) => sum + countElements(payload), 0);
}

/** Whether the kernel told of the same elements in the same order. */
function isSame({ payloads }: DumpedElements, other: DumpedElements | undefined): boolean {
  return (
    payloads.length === other?.payloads.length &&
    payloads.every((payload, index) =>
      payload.subarray(genericBytes).equals(other.payloads[index]?.subarray(genericBytes) ?? payload),
    )
  );
}
