import { inNetworkNamespace, loadOverrunGuard, type Run } from '../base/index.ts';
import { type DirectDestination, type NftTarget, removeTablesByHandle } from '../nft/index.ts';
import { NfnetlinkSocket } from '../nft/nfnetlink-socket.ts';
import type { RulesetPart } from '../nft/ruleset-dump.ts';
import { type RulesetChange, RulesetChanges, RulesetWatch, tablesBeside } from '../nft/ruleset-watch.ts';
import { loadSlot, type Slot } from './slot.ts';
import { framesDropCounters, framesTable, slotDropCounters, slotTable } from './slot-table.ts';

/** Packets by drop counter. Example: `{spoofed: 0, ipv6: 2, denied_input: 0, denied_forward: 0, raw: 0}`. */
export type SlotDrops = Readonly<Record<string, number>>;

/** What a watch of a slot needs. */
export type SlotWatchOptions = {
  readonly run: Run;
  readonly slot: Slot;
  readonly direct: readonly DirectDestination[];
  /** For the file of a ruleset that is loaded again. */
  readonly folder?: string;
  /** Where namespaces are bound. @default '/run/netns' */
  readonly namespaces?: string;
  /** Told when the host dropped what the guest's fence should have; since the sandbox began. */
  readonly onDrops: (drops: SlotDrops) => void;
  /** Told of a change of the slot's rulesets, once they stand again or cannot. */
  readonly onChange: (change: RulesetChange) => void;
  /** Between two readings of the counters. @default 1000 */
  readonly intervalMs?: number;
};

/**
 * The second vantage: what the host's own tables dropped of a guest whose fence should have let nothing come so far; and
 * whether these tables are still those that were loaded. Reads by netlink, so that a quiet sandbox costs nothing.
 */
export class SlotWatch {
  readonly #options: SlotWatchOptions;
  readonly #socket: NfnetlinkSocket;
  /** What counters had when they were set back, and what they had last. */
  readonly #base = new Map<string, number>();
  readonly #last = new Map<string, number>();
  #told = 0;
  #restoring = false;
  #rulesets: RulesetWatch | undefined;
  #timer: NodeJS.Timeout | undefined;
  #reading: Promise<void> | undefined;

  private constructor(options: SlotWatchOptions, socket: NfnetlinkSocket) {
    this.#options = options;
    this.#socket = socket;
  }

  /**
   * Takes what stands in the slot now as what should stand.
   *
   * @throws NAMESPACE_FAILED when the slot cannot be entered
   * @throws NFT_UNREADABLE when its rulesets cannot be read
   */
  static async open(options: SlotWatchOptions): Promise<SlotWatch> {
    const { slot, namespaces = '/run/netns', onChange, intervalMs = 1000 } = options;
    const guard = await loadOverrunGuard();
    const opened = await inNetworkNamespace(`${namespaces}/${slot.namespace}`, () => ({
      ...{ counters: new NfnetlinkSocket(), parts: new NfnetlinkSocket(), changes: guard(() => new RulesetChanges()) },
    }));
    const watch = new SlotWatch(options, opened.counters);
    try {
      watch.#rulesets = await RulesetWatch.open({
        socket: opened.parts,
        changes: opened.changes,
        restore: async (found) => await watch.#restore(found),
        onChange,
      });
    } catch (error) {
      opened.counters.close();
      throw error;
    }
    watch.#timer = setInterval(() => void watch.read(), intervalMs);
    watch.#timer.unref();
    return watch;
  }

  /** Reads the counters, and tells of them when they have risen. A table that is gone for a moment is read next time. */
  async read(): Promise<void> {
    this.#reading ??= this.#read()
      .catch(() => undefined)
      .finally(() => {
        this.#reading = undefined;
      });
    await this.#reading;
  }

  /** The drop counters since the sandbox began, as they were read last. */
  get drops(): SlotDrops {
    const names = [...slotDropCounters, ...framesDropCounters];
    return Object.fromEntries(
      names.map((name) => [name, (this.#base.get(name) ?? 0) + (this.#last.get(name) ?? 0)] as const),
    );
  }

  /** Reads for the last time, and ends the watch. */
  async close(): Promise<SlotDrops> {
    if (this.#timer === undefined) return this.drops;
    clearInterval(this.#timer);
    this.#timer = undefined;
    await this.#rulesets?.settle();
    await this.read();
    this.#rulesets?.close();
    this.#socket.close();
    return this.drops;
  }

  async #read(): Promise<void> {
    if (this.#restoring) return;
    const [slot, frames] = [await this.#socket.counters(slotTable), await this.#socket.counters(framesTable)];
    for (const [counters, names] of [
      [slot, slotDropCounters],
      [frames, framesDropCounters],
    ] as const) {
      for (const name of names) this.#take(name, counters.get(name) ?? 0);
    }
    const sum = Object.values(this.drops).reduce((total, packets) => total + packets, 0);
    if (sum <= this.#told) return;
    this.#told = sum;
    this.#options.onDrops(this.drops);
  }

  /** A counter that has fallen was set back, and counts from there. */
  #take(name: string, packets: number): void {
    const last = this.#last.get(name) ?? 0;
    if (packets < last) this.#base.set(name, (this.#base.get(name) ?? 0) + last);
    this.#last.set(name, packets);
  }

  /** Loads both tables again, and takes tables away that are not ours: the namespace is. */
  async #restore(found: readonly RulesetPart[]): Promise<void> {
    await this.read();
    // No reading until both tables count from nothing: what one had would be counted twice.
    this.#restoring = true;
    try {
      await this.#load(found);
    } finally {
      this.#restoring = false;
    }
  }

  async #load(found: readonly RulesetPart[]): Promise<void> {
    const { run, slot, direct, folder } = this.#options;
    const target: NftTarget = { run, enter: slot.enter, ...(folder === undefined ? {} : { folder }) };
    await loadSlot(target, direct);
    for (const [name, packets] of this.#last) this.#base.set(name, (this.#base.get(name) ?? 0) + packets);
    this.#last.clear();
    // The namespace is ours.
    await removeTablesByHandle(target, tablesBeside([slotTable, framesTable], found));
  }
}
