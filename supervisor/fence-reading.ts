import { shortIp6 } from './netfilter-log-line.ts';

/** What the reader is asked. */
export type ReadingRequest = {
  /** Sets of the fence, of which only what has changed since the last reading is told. */
  readonly sets: readonly string[];
  /** Sets that are gone: another one of the same name begins at 0. */
  readonly forget: readonly string[];
  /**
   * Packets by kind that the caller knows of. Where the fence counts as many, its sets have nothing new to tell and are
   * not read; `null` has them read all the same.
   */
  readonly known: Kinds | null;
};

/** Packets by the kind that the fence counts them in. */
export type Kinds = { readonly tcp: number; readonly udp: number; readonly other: number };

/** Packets of one exec (0: of none that is known) to one destination; the port is `null` where the fence saw none. */
export type Change = readonly [
  mark: number,
  destination: string,
  protocol: number,
  port: number | null,
  packets: number,
];

/** One reading of the fence. */
export type Reading = {
  /** The handle of the table: another one is another table. */
  readonly table: number;
  /** The named counters, as they were after the sets were read. */
  readonly counters: Readonly<Record<string, number>>;
  /** Elements of each set that was read; empty where none was. */
  readonly sizes: Readonly<Record<string, number>>;
  /** All packets that the sets ever told of, by kind. */
  readonly counted: Kinds;
  /** Sets and counters that told of less than before, which no packet makes them do. */
  readonly shrunk: readonly string[];
};

/** The kind that the fence counts a protocol in. */
export function kindOf(protocol: number): keyof Kinds {
  if (protocol === 6) return 'tcp';
  return protocol === 17 || protocol === 136 ? 'udp' : 'other';
}

/** The protocols whose header begins with two ports: TCP, UDP, DCCP, SCTP, UDP-Lite. */
export function hasPorts(protocol: number): boolean {
  return [6, 17, 33, 132, 136].includes(protocol);
}

/**
 * Remembers what the sets said, and tells what is new. An element that a reading misses is not forgotten: while a set
 * grows the kernel's walk of it may pass one over.
 */
export class SetDifferences {
  readonly #last = new Map<string, Map<string, number>>();
  readonly #counted = { tcp: 0, udp: 0, other: 0 };

  /** All packets that were told of as changes. */
  get counted(): Kinds {
    return { ...this.#counted };
  }

  /** How many elements of a set are known. */
  size(set: string): number {
    return this.#last.get(set)?.size ?? 0;
  }

  forget(set: string): void {
    this.#last.delete(set);
  }

  /** Calls `onChange` with what is new. Returns false when an element counted less than before. */
  take(set: string, elements: ReadonlyMap<string, number>, onChange: (change: Change) => void): boolean {
    const last = this.#last.get(set) ?? new Map<string, number>();
    this.#last.set(set, last);
    let whole = true;
    for (const [key, packets] of elements) {
      const before = last.get(key) ?? 0;
      if (packets === before) continue;
      last.set(key, packets);
      // It began anew: what it counted in between, and before that was lost, nobody knows.
      const added = packets < before ? packets : packets - before;
      if (packets < before) whole = false;
      if (added === 0) continue;
      const [mark, destination, protocol, port] = decodeKey(key);
      this.#counted[kindOf(protocol)] += added;
      onChange([mark, destination, protocol, port, added]);
    }
    return whole;
  }
}

/**
 * The parts of a key of the fence's sets, `mark . address . protocol` and maybe `. port`: each begins at a multiple of
 * four bytes, the mark in the machine's byte order, the rest as in the packet.
 */
export function decodeKey(key: string): readonly [number, string, number, number | null] {
  const bytes = Buffer.from(key, 'latin1');
  const isIp6 = bytes.length >= 24;
  const end = isIp6 ? 20 : 8;
  const address = bytes.subarray(4, end);
  const port = bytes.length >= end + 8 ? bytes.readUInt16BE(end + 4) : null;
  return [bytes.readUInt32LE(0), isIp6 ? ip6(address) : address.join('.'), bytes.readUInt8(end), port];
}

function ip6(bytes: Buffer): string {
  return shortIp6((bytes.toString('hex').match(/.{4}/g) ?? []).join(':'));
}
