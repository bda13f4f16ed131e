import { setTimeout as sleep } from 'node:timers/promises';
import { inNetworkNamespace } from '../base/index.ts';
import { NfnetlinkSocket } from '../nft/nfnetlink-socket.ts';
import { type Change, type Reading, type ReadingRequest, SetDifferences } from './fence-reading.ts';
import { fenceTable } from './fence-table.ts';

/**
 * Reads the fence's counters and sets by netlink, and keeps what it read, so that only what is new is passed on.
 *
 * Not imported where the supervisor starts: it loads two native modules, which under emulation take a while, and a workload
 * that stays within its fence need not wait for them.
 */
export class FenceReader {
  readonly #socket: NfnetlinkSocket;
  readonly #differences = new SetDifferences();
  #counters: ReadonlyMap<string, number> = new Map();

  private constructor(socket: NfnetlinkSocket) {
    this.#socket = socket;
  }

  /**
   * Opens a reader of the fence in a network namespace, by the path that it is bound to.
   *
   * @throws NAMESPACE_FAILED when the namespace cannot be entered
   */
  static async open(namespace: string): Promise<FenceReader> {
    return new FenceReader(await inNetworkNamespace(namespace, () => new NfnetlinkSocket()));
  }

  /**
   * Reads the fence. `onChange` is called with what is new of the sets, before the call is done.
   *
   * @throws NFT_NOT_FOUND when the fence, or a set of it, is gone
   * @throws NFT_UNREADABLE when it cannot be read
   */
  async read({ sets, forget, known }: ReadingRequest, onChange: (change: Change) => void): Promise<Reading> {
    for (const set of forget) this.#differences.forget(set);
    const shrunk: string[] = [];
    const sizes: Record<string, number> = {};
    let counters = await this.#readCounters(shrunk);
    const denied = (kind: string): number => counters.get(`denied_${kind}`) ?? 0;
    const isKnown =
      known !== null && denied('tcp') === known.tcp && denied('udp') === known.udp && denied('other') === known.other;
    if (!isKnown) {
      for (const set of sets) {
        if (!(await this.#readSet(set, onChange))) shrunk.push(set);
        sizes[set] = this.#differences.size(set);
      }
      counters = await this.#readCounters(shrunk);
    }
    const table = await this.#socket.tableHandle(fenceTable);
    const { counted } = this.#differences;
    return { table, counters: Object.fromEntries(counters), sizes, counted, shrunk };
  }

  close(): void {
    this.#socket.close();
  }

  async #readCounters(shrunk: string[]): Promise<ReadonlyMap<string, number>> {
    const counters = await this.#socket.counters(fenceTable);
    for (const [name, packets] of this.#counters) if ((counters.get(name) ?? 0) < packets) shrunk.push(name);
    this.#counters = counters;
    return counters;
  }

  /** Elements do not go away: where there are fewer of them than before, the walk may have missed some. */
  async #readSet(set: string, onChange: (change: Change) => void): Promise<boolean> {
    const known = this.#differences.size(set);
    let elements = await this.#socket.elements(fenceTable, set);
    for (let attempt = 0; attempt < 3 && elements.size < known; attempt += 1) {
      await sleep(10);
      elements = await this.#socket.elements(fenceTable, set);
    }
    const whole = this.#differences.take(set, elements, onChange);
    return whole && elements.size >= known;
  }
}
