import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../base/index.ts';
import { type NetlinkSocket, netlinkProtocols, openNetlinkSocket } from '../base/netlink-socket.ts';
import { familyNames } from './family-names.ts';
import type { TableName } from './model.ts';
import { parseMessages } from './netlink-message.ts';
import type { NfnetlinkSocket } from './nfnetlink-socket.ts';
import type { TableHandle } from './nft.ts';
import { type Difference, differencesOf, differenceText } from './ruleset-difference.ts';
import type { RulesetPart } from './ruleset-dump.ts';

/** NFNLGRP_NFTABLES: every change, of whomever. Source: include/uapi/linux/netfilter/nfnetlink.h. */
const changesGroup = 7;
/** NFT_MSG_NEWGEN, the last message of a transaction. */
const newGeneration = (10 << 8) | 15;

/** Lines of a difference that are told one by one. */
const maxLines = 20;
/** A ruleset that is changed without end is put right so often, and no oftener. */
const leastMs = 250;

/** Pauses before missing elements are looked for again; then they are missing. */
const pausesMs: readonly number[] = [5, 10, 20, 40, 80];

/** What became of a change. */
export type RulesetChange = {
  /** What was missing and added, a line each, the first of them. */
  readonly difference: readonly string[];
  readonly differences: number;
  /** Milliseconds from when it was noticed until the ruleset stood again; `null` where it could not be loaded. */
  readonly restoredMs: number | null;
};

/** What a watch needs. */
export type RulesetWatchOptions = {
  /** Opened in the namespace that is watched; the watch closes it. */
  readonly socket: NfnetlinkSocket;
  /** Opened there too. */
  readonly changes: RulesetChanges;
  /** Loads what should stand, and takes away what should not. */
  readonly restore: (found: readonly RulesetPart[]) => Promise<void>;
  /** Parts as they are compared; `undefined` for those that come and go by design. @default as they are */
  readonly compared?: (part: RulesetPart) => RulesetPart | undefined;
  readonly onChange: (change: RulesetChange) => void;
  /** Between two looks without a cause. @default 5000 */
  readonly intervalMs?: number;
};

/**
 * Tells of every transaction on the nf_tables of the network namespace in which it is opened. What it misses it tells of
 * too, as one more.
 */
export class RulesetChanges {
  readonly #socket: NetlinkSocket;
  onChange: () => void = () => undefined;

  constructor() {
    this.#socket = openNetlinkSocket(netlinkProtocols.netfilter);
    this.#socket.addMembership(changesGroup);
    this.#socket.on('message', (datagram) => {
      if (parseMessages(datagram).some(({ type }) => type === newGeneration)) this.onChange();
    });
    this.#socket.on('truncatedMessage', () => this.onChange());
    // Something changed, where it is an overrun. A guard of base/netlink-overrun.ts lets it pass in silence: what was read
    // before it is newer than the change, and a look at the ruleset follows.
    this.#socket.on('error', () => this.onChange());
    this.#socket.unref();
  }

  close(): void {
    this.#socket.close();
  }
}

/**
 * Watches the rulesets of a network namespace: whatever differs from what stood there when the watch began, by whomever it
 * was changed, is told of and loaded again. It looks when the kernel tells of a transaction, and from time to time besides.
 */
export class RulesetWatch {
  readonly #options: RulesetWatchOptions;
  #wanted: readonly RulesetPart[] = [];
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> | undefined;
  #again = false;
  #closed = false;
  #restoredAt = 0;

  private constructor(options: RulesetWatchOptions) {
    this.#options = options;
  }

  /**
   * Takes what stands now as what should stand.
   *
   * @throws NOT_ROOT, NFT_UNREADABLE when it cannot be read
   */
  static async open(options: RulesetWatchOptions): Promise<RulesetWatch> {
    const watch = new RulesetWatch(options);
    try {
      watch.#wanted = await watch.#readWhole();
    } catch (error) {
      watch.close();
      throw error;
    }
    options.changes.onChange = () => watch.#look();
    watch.#timer = setInterval(() => watch.#look(), options.intervalMs ?? 5000);
    watch.#timer.unref();
    return watch;
  }

  /** Waits until every change up to now is told of. */
  async settle(): Promise<void> {
    this.#look();
    while (this.#looking !== undefined) await this.#looking;
  }

  /**
   * Makes a change that is ours: the elements that `body` adds to the sets of that name are part of what should stand from
   * then on. Nothing is looked at meanwhile.
   */
  async adding(set: string, body: () => Promise<void>): Promise<void> {
    while (this.#looking !== undefined) await this.#looking;
    const change = this.#add(set, body);
    this.#looking = change
      .catch(() => undefined)
      .finally(() => {
        this.#looking = undefined;
        if (this.#again) this.#look();
      });
    await change;
  }

  async #add(set: string, body: () => Promise<void>): Promise<void> {
    await body();
    const added = differencesOf(this.#wanted, await this.#read()).filter(
      ({ sign, part }) => sign === '+' && part.kind === 'element' && part.name === set,
    );
    this.#wanted = [...this.#wanted, ...added.map(({ part }) => part)];
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#timer);
    this.#options.changes.close();
    this.#options.socket.close();
  }

  #look(): void {
    if (this.#closed) return;
    this.#again = true;
    this.#looking ??= this.#lookOn().finally(() => {
      this.#looking = undefined;
    });
  }

  async #lookOn(): Promise<void> {
    while (this.#again && !this.#closed) {
      this.#again = false;
      await this.#compare().catch(() => undefined);
    }
  }

  async #compare(): Promise<void> {
    const noticed = Date.now();
    // A transaction between the dumps of two kinds shows half of the old and half of the new: only the second look counts.
    const first = await this.#differences();
    if (first.differences.length === 0) return;
    // Elements that are missing were looked for more than once already.
    const { found, differences } = first.differences.every(isMissingElement) ? first : await this.#differences();
    if (differences.length === 0 || this.#closed) return;
    const wait = this.#restoredAt + leastMs - noticed;
    if (wait > 0) {
      await sleep(wait);
      this.#again = true;
      return;
    }
    const difference = differences.slice(0, maxLines).map(differenceText);
    const restored = await this.#restore(found);
    this.#restoredAt = Date.now();
    this.#options.onChange({
      difference: restored === undefined ? difference : [...difference, restored],
      differences: differences.length,
      restoredMs: restored === undefined ? this.#restoredAt - noticed : null,
    });
  }

  /** Loads the ruleset again. Returns why it does not stand, if it does not. */
  async #restore(found: readonly RulesetPart[]): Promise<string | undefined> {
    try {
      await this.#options.restore(found);
      const { differences: left } = await this.#differences();
      return left.length === 0 ? undefined : `it differs still: ${left.slice(0, 3).map(differenceText).join('; ')}`;
    } catch (error) {
      return `it was not loaded: ${messageOf(error).slice(0, 300)}`;
    }
  }

  /**
   * What differs now. Of a set that it is enlarging, the kernel may pass over elements: where nothing but elements are missing,
   * it is looked at again before that is believed.
   */
  async #differences(): Promise<{
    readonly found: readonly RulesetPart[];
    readonly differences: readonly Difference[];
  }> {
    const { socket } = this.#options;
    let found = await socket.ruleset();
    let differences = differencesOf(this.#wanted, this.#comparable(found));
    for (const pauseMs of pausesMs) {
      if (differences.length === 0 || !differences.every(isMissingElement)) break;
      await sleep(pauseMs);
      const missing = differences.map(({ part }) => part);
      for (const set of found.filter(({ kind }) => kind === 'set')) {
        if (!missing.some((element) => isOf(element, set))) continue;
        found = [...found.filter((part) => !isOf(part, set)), ...(await socket.elementsOf(set))];
      }
      differences = differencesOf(this.#wanted, this.#comparable(found));
    }
    return { found, differences };
  }

  /** What stands, with the elements of sets read again until nothing was passed over, where that can be. */
  async #readWhole(): Promise<readonly RulesetPart[]> {
    const { socket } = this.#options;
    let found = await socket.ruleset();
    for (const pauseMs of pausesMs) {
      const before = found;
      for (const set of before.filter((part) => part.kind === 'set' && part.elements === 'changed')) {
        found = [...found.filter((part) => !isOf(part, set)), ...(await socket.elementsOf(set))];
      }
      if (differencesOf(before, found).length === 0) break;
      await sleep(pauseMs);
    }
    return this.#comparable(found);
  }

  async #read(): Promise<readonly RulesetPart[]> {
    return this.#comparable(await this.#options.socket.ruleset());
  }

  #comparable(parts: readonly RulesetPart[]): readonly RulesetPart[] {
    const { compared } = this.#options;
    return compared === undefined ? parts : parts.flatMap((part) => compared(part) ?? []);
  }
}

/** Whether a part is an element of a set. */
function isOf({ kind, family, table, name }: RulesetPart, set: RulesetPart): boolean {
  return kind === 'element' && family === set.family && table === set.table && name === set.name;
}

function isMissingElement({ sign, part }: Difference): boolean {
  return sign === '-' && part.kind === 'element';
}

/** Tables of others among the parts of a ruleset, to be deleted. */
export function tablesBeside(own: readonly TableName[], found: readonly RulesetPart[]): readonly TableHandle[] {
  return found.flatMap(({ kind, family: number, table, handle }) => {
    const family = familyNames[number];
    if (kind !== 'table' || family === undefined) return [];
    return own.some((name) => name.family === family && name.name === table) ? [] : [{ family, handle }];
  });
}
