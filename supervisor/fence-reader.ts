import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { isTapwardenError, messageOf } from '../base/errors.ts';
import { NfnetlinkSocket } from '../nft/nfnetlink-socket.ts';
import { type Change, type ReaderLine, type ReadingRequest, SetDifferences } from './fence-reading.ts';
import { fenceTable } from './fence-table.ts';

const changesPerLine = 500;

/**
 * A program of its own: reads the fence's counters and sets by netlink, for the supervisor, which starts it in the
 * workload's network namespace. A netlink socket belongs to the namespace in which it is opened, and Node cannot change
 * that of a running process. A line of JSON on standard input asks, and it ends with its input.
 *
 * Between two readings it keeps what it read, so that only what is new is passed on.
 */
async function main(): Promise<void> {
  const socket = new NfnetlinkSocket();
  const reader = new FenceReader(socket);
  for await (const line of createInterface({ input: process.stdin })) {
    await reader.read(JSON.parse(line) as ReadingRequest).catch((error: unknown) => {
      const code = isTapwardenError(error) ? error.code : 'BUG';
      write({ error: { code, message: messageOf(error).slice(0, 500) } });
    });
  }
  socket.close();
}

class FenceReader {
  readonly #socket: NfnetlinkSocket;
  readonly #differences = new SetDifferences();
  #counters: ReadonlyMap<string, number> = new Map();
  #changes: Change[] = [];

  constructor(socket: NfnetlinkSocket) {
    this.#socket = socket;
  }

  async read({ sets, forget, known }: ReadingRequest): Promise<void> {
    for (const set of forget) this.#differences.forget(set);
    const shrunk: string[] = [];
    const sizes: Record<string, number> = {};
    let counters = await this.#readCounters(shrunk);
    const denied = (kind: string): number => counters.get(`denied_${kind}`) ?? 0;
    const isKnown =
      known !== null && denied('tcp') === known.tcp && denied('udp') === known.udp && denied('other') === known.other;
    if (!isKnown) {
      for (const set of sets) {
        if (!(await this.#readSet(set))) shrunk.push(set);
        sizes[set] = this.#differences.size(set);
      }
      counters = await this.#readCounters(shrunk);
    }
    this.#flush();
    const table = await this.#socket.tableHandle(fenceTable);
    const { counted } = this.#differences;
    write({ reading: { table, counters: Object.fromEntries(counters), sizes, counted, shrunk } });
  }

  async #readCounters(shrunk: string[]): Promise<ReadonlyMap<string, number>> {
    const counters = await this.#socket.counters(fenceTable);
    for (const [name, packets] of this.#counters) if ((counters.get(name) ?? 0) < packets) shrunk.push(name);
    this.#counters = counters;
    return counters;
  }

  /** Elements do not go away: where there are fewer of them than before, the walk may have missed some. */
  async #readSet(set: string): Promise<boolean> {
    const known = this.#differences.size(set);
    let elements = await this.#socket.elements(fenceTable, set);
    for (let attempt = 0; attempt < 3 && elements.size < known; attempt += 1) {
      await sleep(10);
      elements = await this.#socket.elements(fenceTable, set);
    }
    const whole = this.#differences.take(set, elements, (change) => {
      this.#changes.push(change);
      if (this.#changes.length >= changesPerLine) this.#flush();
    });
    return whole && elements.size >= known;
  }

  #flush(): void {
    if (this.#changes.length > 0) write({ changes: this.#changes });
    this.#changes = [];
  }
}

function write(line: ReaderLine): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

void main();
