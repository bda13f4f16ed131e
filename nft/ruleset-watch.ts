import { setTimeout as sleep } from 'node:timers/promises';
import { isTapwardenError, messageOf } from '../base/index.ts';
import { type NetlinkSocket, netlinkProtocols, openNetlinkSocket } from '../base/netlink-socket.ts';
import type { TableName } from './model.ts';
import { parseMessages } from './netlink-message.ts';
import { type NfnetlinkRequest, newElementsRequest, nftMessages, type SetElement } from './nfnetlink.ts';
import type { NfnetlinkSocket } from './nfnetlink-socket.ts';
import { type Difference, differencesOf, differenceText } from './ruleset-difference.ts';
import { parseElements, type RulesetPart } from './ruleset-dump.ts';
import { RulesetReader, type RulesetReading, type RulesetSnapshot } from './ruleset-reader.ts';
import { prepareReplay, rebuildOf, removalsOf, replayOf } from './ruleset-replay.ts';

/** NFNLGRP_NFTABLES: every change, of whomever. Source: include/uapi/linux/netfilter/nfnetlink.h. */
const changesGroup = 7;

/** Lines of a difference that are told one by one. */
const maxLines = 20;
/** A ruleset that is changed without end is put right so often, and no oftener. */
const leastMs = 100;

/** From the beginning until parts are made ready, when a command has started; and between two of them. */
const prepareAfterMs = 1000;
const prepareMs = 10;

/** What became of a change. */
export type RulesetChange = {
  /** What was missing and added, a line each, the first of them. */
  readonly difference: readonly string[];
  readonly differences: number;
  /**
   * Milliseconds from when it was noticed until the kernel had the ruleset again, as a reading after it confirms; `null` where
   * it does not stand.
   */
  readonly restoredMs: number | null;
};

/** What a watch needs. */
export type RulesetWatchOptions = {
  /** Opened in the namespace that is watched; the watch closes it. */
  readonly socket: NfnetlinkSocket;
  /** Opened there too. */
  readonly changes: RulesetChanges;
  /**
   * Called when something differs: it calls its argument, which gives the kernel back what should stand, and sees to it that
   * nothing of ours comes between. Parts that follow what goes on are given as they are now by `now`.
   *
   * @default what stood when the watch began is given back
   */
  readonly restore?: (giveBack: GiveBack) => Promise<void>;
  /** Parts as they are compared; `undefined` for those that come and go by design. @default as they are */
  readonly compared?: (part: RulesetPart) => RulesetPart | undefined;
  readonly onChange: (change: RulesetChange) => void;
  /** Between two looks without a cause, and between two attempts at what cannot be put right. @default 5000 */
  readonly intervalMs?: number;
};

/** Gives the kernel back what should stand; `now` makes of the parts of the beginning those of now. */
export type GiveBack = (now?: (parts: readonly RulesetPart[]) => readonly RulesetPart[]) => Promise<void>;

const defaultIntervalMs = 5000;

/** What became of an attempt to give the ruleset back. */
type Restored = {
  /** Why it does not stand. */
  readonly problem?: string;
  /** Whether nobody else has a hand in that, so that another attempt is no better. */
  readonly isVain: boolean;
  /** When the kernel had it, in milliseconds since the epoch. */
  readonly stoodAt: number;
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
      // The last message of a transaction.
      if (parseMessages(datagram).some(({ type }) => type === nftMessages.newGeneration)) this.onChange();
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
  readonly #reader: RulesetReader;
  /** What should stand, as it was read when the watch began; until parts are made of it. */
  #first: RulesetSnapshot | undefined;
  /** The parts that should stand, as they were read. */
  #kept: readonly RulesetPart[] = [];
  /** The same as they are compared. */
  #wanted: readonly RulesetPart[] = [];
  readonly #compared = new WeakMap<RulesetPart, RulesetPart | undefined>();
  #timer: NodeJS.Timeout | undefined;
  /** What is done now: one look, or one change of ours. */
  #busy: Promise<void> | undefined;
  #again = false;
  #closed = false;
  #restoredAt = 0;
  /** The generation in which all stood as it should: as long as it is that, nothing was changed. */
  #verified: number | undefined;
  /** What could not be put right, as it was told of, and when that is tried again. */
  #failed: { readonly told: string; readonly againAt: number } | undefined;

  private constructor(options: RulesetWatchOptions) {
    this.#options = options;
    this.#reader = new RulesetReader(options.socket);
  }

  /**
   * Takes what stands now as what should stand.
   *
   * @throws NOT_ROOT, NFT_UNREADABLE when it cannot be read
   */
  static async open(options: RulesetWatchOptions): Promise<RulesetWatch> {
    const watch = new RulesetWatch(options);
    try {
      watch.#first = await watch.#reader.wholeSnapshot();
      watch.#verified = watch.#first.generation;
    } catch (error) {
      watch.close();
      throw error;
    }
    options.changes.onChange = () => watch.#look();
    watch.#timer = setInterval(() => watch.#look(), options.intervalMs ?? defaultIntervalMs);
    watch.#timer.unref();
    void watch.#prepare();
    return watch;
  }

  /** Waits until every change up to now is told of. */
  async settle(): Promise<void> {
    this.#look();
    // What goes on may have begun before the call, so that the look after it counts; those that follow are of later changes,
    // of which somebody may make one after the other.
    for (let count = 0; count < 2 && this.#busy !== undefined; count += 1) await this.#busy;
  }

  /**
   * Adds elements to a set: they are part of what should stand from then on, and no other that somebody adds meanwhile.
   *
   * @throws NFT_REJECTED when the kernel does not take them
   */
  async add(table: TableName, set: string, elements: readonly SetElement[]): Promise<void> {
    while (this.#busy !== undefined) await this.#busy;
    const change = this.#add(newElementsRequest(table, set, elements), { table: table.name, name: set });
    this.#begin(change.catch(() => undefined));
    await change;
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#timer);
    this.#options.changes.close();
    this.#options.socket.close();
  }

  async #add(request: NfnetlinkRequest, set: Pick<RulesetPart, 'table' | 'name'>): Promise<void> {
    await this.#options.socket.transact([request]);
    this.#begun();
    const added = parseElements({ ...set, family: request.payload.readUInt8(0) }, request.payload);
    const isKept = ({ content }: RulesetPart): boolean =>
      this.#kept.some(
        ({ kind, table, name, content: kept }) =>
          kind === 'element' && table === set.table && name === set.name && kept === content,
      );
    this.#keep([...this.#kept, ...added.filter((part) => !isKept(part))]);
  }

  #keep(parts: readonly RulesetPart[]): void {
    this.#kept = parts;
    this.#wanted = this.#comparable(parts);
  }

  /** Makes the parts that should stand, if nobody has yet. */
  #begun(): void {
    const first = this.#first;
    this.#first = undefined;
    if (first !== undefined) this.#keep(this.#reader.partsOf(first));
  }

  /** What may have to be given back is made ready little by little: at once it would keep an emulated processor busy. */
  async #prepare(): Promise<void> {
    await sleep(prepareAfterMs, undefined, { ref: false });
    const each = async <T>(list: readonly T[], make: (one: T) => void): Promise<void> => {
      for (const one of list) {
        await sleep(prepareMs, undefined, { ref: false });
        if (this.#closed) return;
        make(one);
      }
    };
    await each(this.#first?.dumped ?? [], (dumped) => this.#reader.partOf(dumped));
    if (this.#closed) return;
    this.#begun();
    await each(this.#kept, prepareReplay);
  }

  #look(): void {
    if (this.#closed) return;
    this.#again = true;
    if (this.#busy === undefined) this.#lookNow();
  }

  #lookNow(): void {
    this.#again = false;
    this.#begin(this.#compare().catch(() => undefined));
  }

  #begin(work: Promise<void>): void {
    this.#busy = work.finally(() => {
      this.#busy = undefined;
      if (this.#again && !this.#closed) this.#lookNow();
    });
  }

  async #compare(): Promise<void> {
    const noticed = Date.now();
    if (this.#verified !== undefined && (await this.#options.socket.generation()) === this.#verified) return;
    this.#begun();
    let look = await this.#differences();
    const wait = this.#restoredAt + leastMs - Date.now();
    if (look.differences.length > 0 && wait > 0) {
      await sleep(wait);
      look = await this.#differences();
    }
    // What was read while it changed shows half of the old and half of the new: the second look counts.
    if (look.differences.length > 0 && look.generation === undefined) look = await this.#differences();
    const { differences } = look;
    if (differences.length === 0) this.#failed = undefined;
    if (differences.length === 0 || this.#closed) return;
    const difference = differences.slice(0, maxLines).map(differenceText);
    const told = difference.join('\n');
    const before = this.#failed;
    if (before?.told === told && Date.now() < before.againAt) return;
    const { problem, isVain, stoodAt } = await this.#restore(look);
    if (problem !== undefined && !isVain) this.#again = true;
    this.#restoredAt = Date.now();
    const { intervalMs = defaultIntervalMs } = this.#options;
    this.#failed = isVain ? { told, againAt: this.#restoredAt + intervalMs } : undefined;
    // What cannot be put right is told of once.
    if (isVain && before?.told === told) return;
    this.#options.onChange({
      difference: problem === undefined ? difference : [...difference, problem],
      differences: differences.length,
      restoredMs: problem === undefined ? stoodAt - noticed : null,
    });
  }

  /** Gives the ruleset back, and reads it: a transaction that took effect may still have been the wrong one. */
  async #restore(look: RulesetReading): Promise<Restored> {
    const { restore = async (giveBack) => await giveBack() } = this.#options;
    let given: number | undefined;
    let stoodAt = Date.now();
    try {
      await restore(async (now = (parts) => parts) => {
        given = await this.#giveBack(now(this.#kept), look);
        stoodAt = Date.now();
      });
      const { differences: left, generation } = await this.#differences();
      if (left.length === 0) return { isVain: false, stoodAt };
      return {
        problem: `it differs still: ${left.slice(0, 3).map(differenceText).join('; ')}`,
        isVain: given !== undefined && generation === given,
        stoodAt,
      };
    } catch (error) {
      const problem = `it was not loaded: ${messageOf(error).slice(0, 300)}`;
      const generation = await this.#options.socket.generation().catch(() => look.generation);
      return { problem, isVain: generation === look.generation, stoodAt };
    }
  }

  /** Returns the generation that it made, where that is known. */
  async #giveBack(wanted: readonly RulesetPart[], { parts, generation }: RulesetReading): Promise<number | undefined> {
    const removals = removalsOf(wanted, parts);
    const replay = replayOf(wanted, parts, this.#isLoose);
    if (await this.#took(replay, generation)) {
      for (const removal of removals) await this.#took([removal]);
      return generation === undefined ? undefined : generation + removals.length + (replay.length > 0 ? 1 : 0);
    }
    // Somebody was faster: now whatever the generation is by then.
    const { parts: now } = await this.#reader.read();
    if (!(await this.#took(replayOf(wanted, now, this.#isLoose))))
      await this.#options.socket.transact(rebuildOf(wanted));
    for (const removal of removalsOf(wanted, now)) await this.#took([removal]);
    return undefined;
  }

  /** Whether the kernel took a transaction. */
  async #took(requests: readonly NfnetlinkRequest[], generation?: number): Promise<boolean> {
    try {
      await this.#options.socket.transact(requests, generation);
      return true;
    } catch (error) {
      if (isTapwardenError(error, 'NFT_REJECTED')) return false;
      throw error;
    }
  }

  /**
   * What differs now. Of a set that it is enlarging, the kernel may pass over elements in a dump: where nothing but elements are
   * missing, each is asked for before that is believed.
   */
  async #differences(): Promise<RulesetReading & { readonly differences: readonly Difference[] }> {
    const { parts, generation } = await this.#reader.read();
    const seen = differencesOf(this.#wanted, this.#comparable(parts));
    const held: RulesetPart[] = [];
    if (seen.every(isMissingElement)) for (const { part } of seen) if (await this.#reader.holds(part)) held.push(part);
    const differences = held.length === 0 ? seen : seen.filter(({ part }) => !held.includes(part));
    this.#verified = differences.length === 0 ? generation : undefined;
    return { parts: held.length === 0 ? parts : [...parts, ...held], generation, differences };
  }

  readonly #isLoose = (part: RulesetPart): boolean => this.#comparedOf(part) === undefined;

  #comparable(parts: readonly RulesetPart[]): readonly RulesetPart[] {
    return parts.flatMap((part) => this.#comparedOf(part) ?? []);
  }

  #comparedOf(part: RulesetPart): RulesetPart | undefined {
    const { compared } = this.#options;
    if (compared === undefined) return part;
    if (!this.#compared.has(part)) this.#compared.set(part, compared(part));
    return this.#compared.get(part);
  }
}

function isMissingElement({ sign, part }: Difference): boolean {
  return sign === '-' && part.kind === 'element';
}
