import type { Life } from './connections.ts';
import type { Span } from './log-clock.ts';
import type { ProcessEvent } from './process-events.ts';

/** A program that a process executed. */
export type Image = { readonly binary: string; readonly arguments: readonly string[] };

/** That a process executed a program. */
export type Execution = {
  /** `undefined` where it could not be found out. */
  readonly image: Image | undefined;
  readonly pid: number;
  /** Executions of one process are in the order of their numbers. */
  readonly serial: number;
  /** Milliseconds of CLOCK_MONOTONIC, up to {@link tickMs} too early. */
  readonly atMs: number;
  /** When the image was looked up, where no record tells of it: it may be that of a later execution. */
  readonly seenMs?: number;
};

/** A process that descends from the root, as far as it is known. */
export type KnownProcess = {
  readonly pid: number;
  readonly parent: number | undefined;
  /** Milliseconds of CLOCK_MONOTONIC at its fork. */
  readonly startMs: number;
};

type Entry = KnownProcess & {
  endMs: number | undefined;
  /** When it executed another program, in order. */
  readonly executedMs: number[];
  /** Whether no event of its time is missing. */
  isWhole: boolean;
  hasThreads: boolean;
};

const maxEntries = 16_384;
const maxExecutions = 16_384;
/** Of one process. */
const maxExecutionsEach = 64;
const maxAncestors = 16;
/** A tick of the kernel's clock at 100 Hz, by which an audit record's time is too early at most, and as much again. */
const tickMs = 20;

/**
 * The processes that descend from `root`, those that are gone among them: who started whom and when, by the kernel's
 * process events, and which programs they executed, by audit or by /proc. Bounded: what ended first is forgotten first.
 *
 * The two come by different ways, in any order, so they are joined when they are asked for.
 */
export class ProcessTable {
  readonly #root: number;
  readonly #hidesStarters: boolean;
  readonly #current = new Map<number, Entry>();
  /** Those that ended, in the order of their end. */
  readonly #ended = new Set<Entry>();
  readonly #executions = new Map<number, Execution[]>();
  #executionCount = 0;

  /**
   * `hidesStarters`: the root's own children build what a command runs in, and get its environment as arguments, which
   * may hold secrets; so these are left out.
   */
  constructor(root: number, { hidesStarters = false }: { readonly hidesStarters?: boolean } = {}) {
    this.#root = root;
    this.#hidesStarters = hidesStarters;
  }

  /** Takes what the kernel tells; processes that do not descend from the root are passed over. */
  take(event: ProcessEvent): void {
    if (event.kind === 'fork') {
      const parent = this.#current.get(event.parent);
      if (parent !== undefined || event.parent === this.#root) this.#add(event.child, event.parent, event.atMs);
      return;
    }
    if (event.kind === 'name') return;
    const entry = this.#current.get(event.pid);
    if (entry === undefined || entry.endMs !== undefined) return;
    if (event.kind === 'thread') {
      entry.hasThreads = true;
    } else if (event.kind === 'exec') {
      entry.executedMs.push(event.atMs);
      if (entry.executedMs.length > maxExecutionsEach) entry.isWhole = false;
    } else {
      entry.endMs = event.atMs;
      this.#ended.add(entry);
      this.#forget();
    }
  }

  /** Events are missing: what is known of the processes of now may have holes. */
  markLost(): void {
    for (const entry of this.#current.values()) entry.isWhole = false;
  }

  execute(execution: Execution): void {
    const list = this.#executions.get(execution.pid) ?? [];
    // The list that was added to last stands last.
    this.#executions.delete(execution.pid);
    this.#executions.set(execution.pid, list);
    list.push(execution);
    this.#executionCount += 1;
    if (list.length > maxExecutionsEach) {
      list.shift();
      this.#executionCount -= 1;
    }
    for (const [pid, oldest] of this.#executions) {
      if (this.#executionCount <= maxExecutions) break;
      this.#executionCount -= oldest.length;
      this.#executions.delete(pid);
    }
  }

  /** The process that had this pid at that time, which may be {@link tickMs} too early. */
  find(pid: number, atMs: number): KnownProcess | undefined {
    return this.#entryAt(pid, atMs);
  }

  /** The program that a process was at that moment, which its record numbers; `undefined` where it is not certain. */
  imageBefore({
    pid,
    atMs,
    serial,
  }: {
    readonly pid: number;
    readonly atMs: number;
    readonly serial: number;
  }): Image | undefined {
    const entry = this.#entryAt(pid, atMs);
    const own = this.#executionsOf(pid, entry).findLast((execution) => execution.serial < serial);
    if (own !== undefined) return this.#shown(entry, own.image);
    return entry === undefined ? undefined : this.#inherited(entry);
  }

  /**
   * When a call of a process can have been, as far as it follows from its events: after it was started, or executed the
   * program that it was then, and before its end.
   */
  spanOf({ pid, atMs, serial }: { readonly pid: number; readonly atMs: number; readonly serial: number }): Span {
    const entry = this.#entryAt(pid, atMs);
    if (entry === undefined) return { fromMs: Number.NEGATIVE_INFINITY, toMs: Number.POSITIVE_INFINITY };
    const executions = this.#executionsOf(pid, entry);
    const later = executions.filter((execution) => execution.serial > serial).length;
    const isKnown = entry.isWhole && executions.length > later;
    const executedMs = isKnown ? entry.executedMs[entry.executedMs.length - later - 1] : undefined;
    // Of a process with threads the first may end before the others.
    const toMs = entry.hasThreads || !entry.isWhole ? undefined : entry.endMs;
    return { fromMs: executedMs ?? entry.startMs, toMs: toMs ?? Number.POSITIVE_INFINITY };
  }

  /** The program that a process was all that time; `undefined` where it is not certain. */
  imageDuring(pid: number, { fromMs, toMs }: Span): Image | undefined {
    const entry = this.#entryAt(pid, fromMs);
    if (entry === undefined || entry.executedMs.some((ms) => ms > fromMs && ms <= toMs)) return undefined;
    return this.#imageAt(entry, fromMs);
  }

  /** Whether the process that has this pid now was started after that moment. */
  hasStartedSince(pid: number, atMs: number): boolean {
    return (this.#current.get(pid)?.startMs ?? 0) > atMs;
  }

  /** Whether a process may have executed another program since that moment. */
  hasExecutedSince(pid: number, atMs: number): boolean {
    const entry = this.#entryAt(pid, atMs);
    return entry === undefined || !entry.isWhole || entry.executedMs.some((ms) => ms > atMs);
  }

  /** The parents of a process, from the nearest on, as they started each other, with what they were when they did. */
  ancestorsOf(pid: number, atMs: number): readonly (KnownProcess & { readonly image: Image | undefined })[] {
    const found: (KnownProcess & { readonly image: Image | undefined })[] = [];
    let child = this.#entryAt(pid, atMs);
    while (child?.parent !== undefined && found.length < maxAncestors) {
      const parent = this.#entryAt(child.parent, child.startMs);
      if (parent === undefined) break;
      found.push({ ...parent, image: this.#imageAt(parent, child.startMs) });
      child = parent;
    }
    return found;
  }

  /**
   * A process and those that it descends from, each from its beginning to when it started the next one: what each had open
   * then, the next one has. `undefined` where the line to the root is not known whole.
   */
  lineageOf(pid: number, atMs: number): readonly Life[] | undefined {
    const lives: Life[] = [];
    let entry = this.#entryAt(pid, atMs);
    for (let untilMs = atMs + tickMs; lives.length < maxAncestors && entry?.isWhole === true; ) {
      // Records of the first moments have a coarser clock than the process events.
      lives.push({ pid: entry.pid, startMs: entry.startMs - tickMs, endMs: untilMs });
      const { parent, startMs }: Entry = entry;
      if (parent === undefined || parent === this.#root) return lives;
      untilMs = startMs;
      entry = this.#entryAt(parent, startMs);
    }
    return undefined;
  }

  /** What a process goes on with that it did not execute itself. */
  #inherited(entry: Entry, depth = 0): Image | undefined {
    const parent = entry.parent === undefined ? undefined : this.#entryAt(entry.parent, entry.startMs);
    return parent === undefined || depth > maxAncestors ? undefined : this.#imageAt(parent, entry.startMs, depth + 1);
  }

  /**
   * What a process was at a moment of the process events' exact clock. The executions have a coarser one, but the same
   * order. The first ones may be missing, from before its audit session began; so they are counted from the end.
   */
  #imageAt(entry: Entry, atMs: number, depth = 0): Image | undefined {
    if (!entry.isWhole) return undefined;
    const count = entry.executedMs.filter((ms) => ms <= atMs).length;
    if (count === 0) return this.#inherited(entry, depth);
    const executions = this.#executionsOf(entry.pid, entry);
    const execution = executions[executions.length - entry.executedMs.length + count - 1];
    const isInOrder = execution !== undefined && execution.atMs <= (entry.executedMs[count - 1] ?? 0);
    const nextMs = entry.executedMs[count] ?? Number.POSITIVE_INFINITY;
    return isInOrder && nextMs > (execution.seenMs ?? 0) ? this.#shown(entry, execution.image) : undefined;
  }

  #shown(entry: Entry | undefined, image: Image | undefined): Image | undefined {
    const isStarter = this.#hidesStarters && (entry === undefined || entry.parent === this.#root);
    return isStarter && image !== undefined ? { ...image, arguments: [] } : image;
  }

  #executionsOf(pid: number, entry: Entry | undefined): readonly Execution[] {
    const from = (entry?.startMs ?? 0) - tickMs;
    const to = entry?.endMs ?? Number.POSITIVE_INFINITY;
    return (this.#executions.get(pid) ?? []).filter(({ atMs }) => atMs >= from && atMs <= to);
  }

  #entryAt(pid: number, atMs: number): Entry | undefined {
    const current = this.#current.get(pid);
    if (current !== undefined && current.startMs <= atMs + tickMs) return current;
    let before: Entry | undefined;
    for (const entry of this.#ended) if (entry.pid === pid && entry.startMs <= atMs + tickMs) before = entry;
    return before;
  }

  #add(pid: number, parent: number, startMs: number): void {
    const old = this.#current.get(pid);
    if (old !== undefined) {
      old.endMs ??= startMs;
      this.#ended.add(old);
    }
    this.#current.set(pid, {
      pid,
      parent,
      startMs,
      endMs: undefined,
      executedMs: [],
      isWhole: true,
      hasThreads: false,
    });
    this.#forget();
  }

  #forget(): void {
    for (const entry of this.#ended) {
      if (this.#ended.size <= maxEntries && this.#current.size <= maxEntries) return;
      this.#ended.delete(entry);
      if (this.#current.get(entry.pid) === entry) this.#current.delete(entry.pid);
    }
  }
}
