import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf, type Run } from '../base/index.ts';
import type { DeniedPacketFact, Fact, FenceCounts } from '../channel/index.ts';
import { applyChains, removeSets } from '../nft/index.ts';
import {
  accountSetNames,
  accountSetSize,
  type FenceSpec,
  fenceRuleset,
  type Generation,
  generationChains,
} from './fence.ts';
import { inWorkloadNamespace } from './fence-loader.ts';
import type { FenceReader } from './fence-reader.ts';
import type { Change, Reading } from './fence-reading.ts';
import { fenceTable } from './fence-table.ts';
import { Ledger } from './ledger.ts';

/** The counts of the fence, without what others lost. */
export type AccountCounts = Omit<FenceCounts, 'auditLoss'>;

/** What an account works with. */
export type AccountOptions = {
  readonly run: Run;
  /** Where the workload's network namespace is bound. Example: `/run/netns/workload`. */
  readonly namespace: string;
  /** The fence as it was loaded, for its sets to be rotated. */
  readonly fence: Omit<FenceSpec, 'generation'>;
  /** Resolves when every line that was logged before the call was given to {@link FenceAccount.take}; false: not all. */
  readonly settleLog: () => Promise<boolean>;
  readonly onFact: (fact: Fact) => void;
  /** The fraction of a set's size at which the sets rotate. @default 0.5 */
  readonly rotateAt?: number;
};

/** A reading follows a line after so long, or after the one before by a multiple of what that took. */
const soonestMs = 200;
const usualMs = 1000;
const latestMs = 10_000;
const restFactor = 10;
const groupsPerFact = 256;
/** How often the end of an exec reads again when the sets and the counters do not agree yet. */
const finalAttempts = 5;
const maxUnknown = 8;

/**
 * Accounts for every packet that the fence refused: takes the log's lines, reads the fence's counters and sets now and
 * then, and tells of the packets that have no line.
 *
 * Nothing is read before the first line or the end of an exec. The pause between two readings grows with what a reading
 * takes and while nothing happens.
 */
export class FenceAccount {
  readonly #options: AccountOptions;
  readonly #ledger = new Ledger();
  /** What is not known of the time between two readings, and that time: epoch milliseconds. */
  readonly #unknown = new Map<string, { readonly from: number; readonly to: number }>();
  #reader: FenceReader | undefined;
  #generation: Generation = 'a';
  #retired: readonly string[] = [];
  #forget: readonly string[] = [];
  #timer: NodeJS.Timeout | undefined;
  #pauseMs = soonestMs;
  #last: Reading | undefined;
  #lastAt = Date.now();
  /** Lines that were read before the counter of lines began anew. */
  #linesBefore = 0;
  /** Lines that the fence did not write and that were told of. */
  #forged = 0;
  #portsFull = false;
  #mayRotate = true;
  /** Whether what the sets tell can no longer be set against the log's lines. */
  #blind = false;
  #turn: Promise<unknown> = Promise.resolve();
  #change: Promise<unknown> = Promise.resolve();
  #stopped = false;

  constructor(options: AccountOptions) {
    this.#options = options;
    // Without lines nothing says that there is something to read.
    if (!options.fence.log) this.#schedule(soonestMs);
  }

  /** Takes a line of the log: passes it on now, or after a reading that may tell its port. */
  take(line: DeniedPacketFact): void {
    const fact = this.#ledger.take(line);
    if (fact !== undefined) this.#options.onFact(fact);
    const wantedMs = fact === undefined || this.#timer === undefined ? soonestMs : usualMs;
    if (this.#timer === undefined || this.#pauseMs > wantedMs) this.#schedule(wantedMs);
  }

  /**
   * Accounts for all that was refused before the call, and returns the fence's counts; `null` where nobody knows them.
   */
  async settle(): Promise<AccountCounts | null> {
    return await this.#inTurn(async () => {
      let reading = await this.#reconcile();
      for (let attempt = 1; attempt < finalAttempts && reading !== undefined && !this.#agrees(reading); attempt += 1) {
        await sleep(20);
        reading = await this.#reconcile();
      }
      for (const fact of this.#ledger.release()) this.#options.onFact(fact);
      if (reading === undefined) return null;
      if (!this.#agrees(reading)) this.#doubt('the sets and the counters of the fence differ');
      return this.#countsOf(reading);
    });
  }

  /**
   * Lets the fence be given back, with the sets that are counted in now, and in no others before it is done. A reading may go on
   * meanwhile: what was counted stays, and a table that is made anew has another handle.
   */
  async reload(load: (generation: Generation) => Promise<void>): Promise<void> {
    await this.#changing(async () => await load(this.#generation));
  }

  /** One change of the fence after the other. */
  async #changing(change: () => Promise<void>): Promise<void> {
    const turn = this.#change.then(change);
    this.#change = turn.catch(() => undefined);
    await turn;
  }

  /** Closes the reader. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#turn;
    this.#reader?.close();
  }

  #schedule(pauseMs: number): void {
    if (this.#stopped) return;
    clearTimeout(this.#timer);
    this.#pauseMs = pauseMs;
    this.#timer = setTimeout(() => void this.#inTurn(async () => await this.#regular()), pauseMs);
  }

  async #regular(): Promise<void> {
    const begun = Date.now();
    const before = this.#last?.counters['denied'];
    const reading = await this.#reconcile();
    if (reading !== undefined) {
      await this.#rotateIfFull(reading).catch((error: unknown) => {
        // What the sets have no place for is in the overflow counters, and said.
        this.#mayRotate = false;
        if (!this.#stopped) process.stderr.write(`tapwarden-supervisor: sets do not rotate: ${messageOf(error)}\n`);
      });
    }
    const tookMs = Date.now() - begun;
    const idle = reading === undefined || reading.counters['denied'] === before;
    const wanted = idle ? this.#pauseMs * 2 : Math.max(usualMs, tookMs * restFactor);
    this.#schedule(this.#ledger.wantsReading && !idle ? soonestMs : Math.min(latestMs, wanted));
  }

  /** One reading, between two looks at the log: see {@link Ledger}. */
  async #reconcile(): Promise<Reading | undefined> {
    try {
      const settled = await this.#options.settleLog();
      const { lines } = this.#ledger;
      const changes: Change[] = [];
      const reading = await this.#read(changes, settled);
      if (!settled || !(await this.#options.settleLog())) {
        // Lines that are still to come would be told of twice: what has none is counted by kind at the end.
        this.#blind = true;
        this.#doubt('the kernel log could not be read to its end');
      }
      this.#check(reading, lines);
      if (!this.#blind) this.#tell(changes, reading);
      this.#last = reading;
      this.#lastAt = Date.now();
      return reading;
    } catch (error) {
      if (!this.#stopped) this.#doubt(messageOf(error).split('\n')[0] ?? '');
      return undefined;
    }
  }

  #tell(changes: readonly Change[], reading: Reading): void {
    const { facts, groups } = this.#ledger.apply(changes, overflowOf(reading) > 0);
    for (const fact of facts) this.#options.onFact(fact);
    const sinceMs = Math.max(0, Date.now() - this.#lastAt);
    for (let at = 0; at < groups.length; at += groupsPerFact) {
      this.#options.onFact({ kind: 'denied-packets', sinceMs, groups: groups.slice(at, at + groupsPerFact) });
    }
  }

  async #read(changes: Change[], settled: boolean): Promise<Reading> {
    const { fence, namespace } = this.#options;
    if (this.#stopped) throw new Error('the account is closed');
    // Not before it is needed: see FenceReader.
    this.#reader ??= await (await import('./fence-reader.ts')).FenceReader.open(namespace);
    const all = this.#ledger.wantsReading || this.#retired.length > 0;
    const request = {
      sets: fence.account && settled && !this.#blind ? [...accountSetNames(this.#generation), ...this.#retired] : [],
      forget: this.#forget,
      known: all ? null : this.#ledger.told,
    };
    const reading = await this.#reader.read(request, (change) => changes.push(change));
    this.#forget = [];
    return reading;
  }

  /** Packets are counted in other sets from here on; those of before are read once more, then deleted. */
  async #rotateIfFull({ sizes }: Reading): Promise<void> {
    const { run, fence, rotateAt = 0.5 } = this.#options;
    const target = { run, enter: inWorkloadNamespace };
    if (this.#retired.length > 0) {
      await removeSets(target, fenceTable, this.#retired);
      this.#forget = this.#retired;
      this.#retired = [];
      return;
    }
    const names = accountSetNames(this.#generation);
    if (!this.#mayRotate) return;
    if (!names.some((name) => (sizes[name] ?? 0) > rotateAt * accountSetSize(name))) return;
    const next = this.#generation === 'a' ? 'b' : 'a';
    await this.#changing(async () => {
      await applyChains(target, fenceRuleset({ ...fence, generation: next }), generationChains);
      this.#generation = next;
    });
    this.#retired = names;
  }

  /** Whether the counters agree, and what the sets and the overflow counters have is all that the fence refused. */
  #agrees({ counters, counted }: Reading): boolean {
    const packets = (...names: readonly string[]): number =>
      names.reduce((sum, name) => sum + (counters[name] ?? 0), 0);
    const denied = packets('denied');
    if (denied !== packets('denied_tcp', 'denied_udp', 'denied_other')) return false;
    if (denied !== packets('logged', 'unlogged')) return false;
    if (this.#blind) return true;
    return (['tcp', 'udp', 'other'] as const).every((kind) => {
      const denied = counters[`denied_${kind}`] ?? 0;
      // Where every packet has its line, the sets were not read.
      return denied === this.#ledger.told[kind] || denied === counted[kind] + (counters[`over_${kind}`] ?? 0);
    });
  }

  /** `lines` is how many had been read before the reading: a line that the fence wrote is counted by then. */
  #check(reading: Reading, lines: number): void {
    const isNew = this.#last !== undefined && this.#last.table !== reading.table;
    if (isNew) this.#doubt("the fence's table was made anew");
    for (const name of reading.shrunk) this.#doubt(`${name} of the fence tells of less than before`);
    const logged = reading.counters['logged'] ?? 0;
    if (isNew || reading.shrunk.includes('logged')) this.#linesBefore = Math.max(0, lines - logged);
    const forged = lines - this.#linesBefore - logged;
    if (forged > 0) this.#doubt('lines were read that the fence did not write');
    if (forged > this.#forged) {
      this.#options.onFact({ kind: 'forged-lines', by: 'rule', lines: forged - this.#forged });
      this.#forged = forged;
    }
    for (const [name, size] of Object.entries(reading.sizes)) {
      if (name.startsWith('seen') && size >= accountSetSize(name)) this.#portsFull = true;
    }
  }

  #doubt(what: string): void {
    const before = this.#unknown.get(what);
    if (before === undefined && this.#unknown.size >= maxUnknown) return;
    this.#unknown.set(what, { from: before?.from ?? this.#lastAt, to: Date.now() });
  }

  #countsOf(reading: Reading): AccountCounts {
    const { counters } = reading;
    const packets = (name: string): number => counters[name] ?? 0;
    return {
      deniedTcp: packets('denied_tcp'),
      deniedUdp: packets('denied_udp'),
      deniedOther: packets('denied_other'),
      logged: packets('logged'),
      unlogged: packets('unlogged'),
      direct: packets('direct'),
      overflow: overflowOf(reading),
      portsFull: this.#portsFull,
      unread: Math.max(0, packets('logged') - this.#ledger.lines),
      unknown: [...this.#unknown].map(
        ([what, { from, to }]) => `${what.slice(0, 180)}, ${timeOf(from)} to ${timeOf(to)}`,
      ),
    };
  }

  async #inTurn<T>(body: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(body);
    this.#turn = turn.catch(() => undefined);
    return await turn;
  }
}

/** Example: `2026-11-26T02:15:01.250Z`. */
function timeOf(epochMs: number): string {
  return new Date(epochMs).toISOString();
}

function overflowOf({ counters }: Reading): number {
  return (counters['over_tcp'] ?? 0) + (counters['over_udp'] ?? 0) + (counters['over_other'] ?? 0);
}
