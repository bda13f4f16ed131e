import { inNetworkNamespace, loadOverrunGuard } from '../base/index.ts';
import type { TableName } from '../nft/index.ts';
import { NfnetlinkSocket } from '../nft/nfnetlink-socket.ts';
import { type RulesetChange, RulesetChanges, RulesetWatch } from '../nft/ruleset-watch.ts';
import type { Slot } from './slot.ts';
import { framesDropCounters, framesTable, slotDropCounters, slotTable } from './slot-table.ts';

/** Packets by drop counter. Example: `{spoofed: 0, ipv6: 2, denied_input: 0, denied_forward: 0, raw: 0}`. */
export type SlotDrops = Readonly<Record<string, number>>;

/** What a watch of a slot needs. */
export type SlotWatchOptions = {
  readonly slot: Pick<Slot, 'namespace'>;
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
  /** The tables' handles, when they were read last. */
  readonly #handles = new Map<TableName, number>();
  #told = 0;
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
        restore: async (giveBack) => {
          // What a table that is made anew has counted is gone with it.
          await watch.read();
          await giveBack();
        },
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
    for (const [table, names] of [
      [slotTable, slotDropCounters],
      [framesTable, framesDropCounters],
    ] as const) {
      const { handle, counters } = await this.#countersOf(table);
      const isNew = handle !== (this.#handles.get(table) ?? handle);
      for (const name of names) this.#take(name, counters.get(name) ?? 0, isNew);
      this.#handles.set(table, handle);
    }
    const sum = Object.values(this.drops).reduce((total, packets) => total + packets, 0);
    if (sum <= this.#told) return;
    this.#told = sum;
    this.#options.onDrops(this.drops);
  }

  /** The counters of a table, and its handle, which says that it is the one of before and counts on. */
  async #countersOf(table: TableName): Promise<{ handle: number; counters: ReadonlyMap<string, number> }> {
    for (let handle = await this.#socket.tableHandle(table); ; ) {
      const counters = await this.#socket.counters(table);
      const after = await this.#socket.tableHandle(table);
      if (after === handle) return { handle, counters };
      handle = after;
    }
  }

  /** A counter of a table that was made anew, or one that has fallen, counts from nothing. */
  #take(name: string, packets: number, isNew: boolean): void {
    const last = this.#last.get(name) ?? 0;
    if (isNew || packets < last) this.#base.set(name, (this.#base.get(name) ?? 0) + last);
    this.#last.set(name, packets);
  }
}
