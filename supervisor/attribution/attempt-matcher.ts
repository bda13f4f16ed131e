import type { SocketAddress } from './audit-record.ts';
import type { Span } from './log-clock.ts';
import { RecentList } from './recent-list.ts';
import type { AttemptKind } from './system-calls.ts';

/** A system call by which one packet may have left: when it ran, whose it was, and where the packet went to. */
export type Attempt = Span & {
  readonly serial: number;
  readonly kind: AttemptKind;
  /** The exec that the process belongs to. */
  readonly exec: number;
  readonly pid: number;
  readonly exit: number;
  /** Absent where the call names none. */
  readonly destination?: SocketAddress | undefined;
  /** Where the process has, or may have by inheritance, sockets that were connected to; absent where that is not known. */
  readonly peers?: readonly SocketAddress[] | undefined;
};

/** A refused packet: when it was logged, and where it was going to. */
export type LoggedAttempt = Span & {
  /** The exec in whose cgroup the socket was made, where a mark says so. */
  readonly exec: number | undefined;
  readonly protocol: number;
  readonly address: string;
  readonly port: number | undefined;
  /** When its line was read. */
  readonly readMs: number;
};

/** By what a packet is decided. */
export type DecideOptions = {
  /** Packets whose lines were read later may have a record that is not read yet. @default Infinity */
  readonly matureMs?: number;
  /** Whether records of other execs count where those of the packet's own do not suffice. @default true */
  readonly foreign?: boolean;
};

/** What the records say of a packet. */
export type Verdict<A extends Attempt> =
  /** One process alone can have sent it, by this record of it, or another. */
  | { readonly kind: 'one'; readonly attempt: A }
  /** Several can, and nothing tells which. */
  | { readonly kind: 'several'; readonly attempts: readonly A[] }
  /** None can, or there are more packets than records. */
  | { readonly kind: 'none' };

/** More packets than this that may be each other's are not told apart. */
const maxTogether = 64;

type Line<A> = LoggedAttempt & { settled: A | undefined };
type Together<A> = ReadonlyMap<Line<A>, readonly A[]>;

/**
 * Finds for each refused packet the one process that can have sent it, or says that there are several.
 *
 * A packet is logged inside the system call that sends it, so the record of that call spans the packet's time. Each
 * record stands for one packet at most, and each packet needs a record of its own. So a process is named only if the
 * packets at hand can be given to records in no way in which this packet is another process's. With more packets than
 * records, something sent a packet of which audit does not tell, and nothing is concluded.
 *
 * The records of the exec that the packet's mark tells of come first. Only where they do not suffice those of other execs
 * count, to which a socket may have been handed.
 */
export class AttemptMatcher<A extends Attempt> {
  /** By destination, twice: with its port and without, for packets that have none. */
  readonly #named = new Map<string, RecentList<A>>();
  readonly #unnamed = new RecentList<A>();
  /** By destination, with the port where there is one. */
  readonly #linesTo = new Map<string, RecentList<Line<A>>>();
  readonly #lines = new RecentList<Line<A>>();

  addAttempt(attempt: A): void {
    const { destination } = attempt;
    if (destination === undefined) this.#unnamed.add(attempt);
    else for (const key of keysOf(destination.address, destination.port)) append(this.#named, key, attempt);
  }

  /** Adds a packet, for which {@link decide} can be asked as often as there is news. */
  addLine(logged: LoggedAttempt): LoggedAttempt {
    const { fromMs, toMs, exec, protocol, address, port, readMs } = logged;
    // A literal: to spread an object costs several times as much, and a flood has many.
    const line: Line<A> = { fromMs, toMs, exec, protocol, address, port, readMs, settled: undefined };
    this.#lines.add(line);
    append(this.#linesTo, keyOf(address, port), line);
    return line;
  }

  /** Who sent a packet that was added, by all that is known now. */
  decide(logged: LoggedAttempt, options: DecideOptions = {}): Verdict<A> {
    const line = logged as Line<A>;
    const { matureMs = Number.POSITIVE_INFINITY, foreign = true } = options;
    const verdict = this.#decideAmong(line, false, matureMs);
    return verdict.kind === 'none' && foreign ? this.#decideAmong(line, true, matureMs) : verdict;
  }

  /** Keeps a verdict that was told: what other packets may be follows from it. */
  settle(logged: LoggedAttempt, verdict: Verdict<A>): void {
    if (verdict.kind === 'one') (logged as Line<A>).settled = verdict.attempt;
  }

  /** Whether there is a record of late that names a packet's destination. */
  isNamed({ address, port }: LoggedAttempt): boolean {
    return this.#named.has(keyOf(address, port));
  }

  /** Whether other processes than that of `attempt` have tried the destination of a packet of late. */
  isContested({ address, port }: LoggedAttempt, attempt: A): boolean {
    const all = this.#named.get(keyOf(address, port))?.since(Number.NEGATIVE_INFINITY) ?? [];
    return all.some(({ pid }) => pid !== attempt.pid);
  }

  /** Forgets what ended before that time. */
  forget(beforeMs: number): void {
    for (const map of [this.#named, this.#linesTo]) {
      for (const [key, list] of map) {
        list.forget(beforeMs);
        if (list.size === 0) map.delete(key);
      }
    }
    this.#unnamed.forget(beforeMs);
    this.#lines.forget(beforeMs);
  }

  #decideAmong(line: Line<A>, foreign: boolean, matureMs: number): Verdict<A> {
    const own = this.#attemptsOf(line, foreign);
    if (own.length === 0) return { kind: 'none' };
    const { lines, isWhole } = this.#together(line, foreign, matureMs);
    const byProcess = groupByProcess(own);
    if (!isWhole) {
      const all = new Set([...lines.values()].flat());
      const isOne = groupByProcess([...all]).length === 1 && all.size >= lines.size;
      return isOne && own[0] !== undefined ? { kind: 'one', attempt: own[0] } : several(byProcess);
    }
    if (!canAllHave(lines)) return { kind: 'none' };
    // For each process in turn: can all packets have records if this one is that of the process?
    const possible = byProcess.flatMap(
      (attempts) => attempts.find((attempt) => canAllHave(lines, line, attempt)) ?? [],
    );
    const [first] = possible;
    if (first === undefined) return { kind: 'none' };
    return possible.length === 1 ? { kind: 'one', attempt: first } : { kind: 'several', attempts: possible };
  }

  #attemptsOf(line: Line<A>, foreign: boolean): readonly A[] {
    const since = line.protocol === sctp ? Number.NEGATIVE_INFINITY : line.fromMs;
    const isOwn = ({ exec }: A): boolean => line.exec === undefined || exec === line.exec;
    const named = (this.#named.get(keyOf(line.address, line.port))?.since(since) ?? []).filter(
      (attempt) => (foreign || isOwn(attempt)) && canBe(line, attempt),
    );
    const unnamed = this.#unnamed.since(since).filter((attempt) => isOwn(attempt) && canBe(line, attempt));
    return settledAmong(line, likelyAmong(line, [...named, ...unnamed]));
  }

  /**
   * The packets that compete for the records of this one, and for those of each other, with their own records. Those whose
   * record may still come are left out: that makes more possible, never less.
   */
  #together(
    line: Line<A>,
    foreign: boolean,
    matureMs: number,
  ): { readonly lines: Together<A>; readonly isWhole: boolean } {
    const found = new Map<Line<A>, readonly A[]>([[line, this.#attemptsOf(line, foreign)]]);
    const seen = new Set<A>();
    const isOwn = (other: Line<A>, attempt: A): boolean => found.get(other)?.includes(attempt) ?? false;
    for (const attempts of found.values()) {
      for (const attempt of attempts) {
        if (seen.has(attempt)) continue;
        seen.add(attempt);
        for (const other of this.#linesFor(attempt)) {
          const isYoung = other.readMs > matureMs && other.settled === undefined;
          if (isYoung || found.has(other) || !canBe(other, attempt)) continue;
          found.set(other, this.#attemptsOf(other, foreign));
          // Its exec may be another one, or it has a record of its own already.
          if (!isOwn(other, attempt)) found.delete(other);
          else if (found.size > maxTogether) return { lines: found, isWhole: false };
        }
      }
    }
    return { lines: found, isWhole: true };
  }

  /** The packets to a record's destination, or to any where it names none, of the time of its call. */
  #linesFor({ destination, fromMs, toMs }: A): readonly Line<A>[] {
    if (destination === undefined) return this.#lines.between(fromMs, toMs);
    const { address, port } = destination;
    const own = this.#linesTo.get(keyOf(address, port))?.between(fromMs, toMs) ?? [];
    const portless = this.#linesTo.get(address)?.since(fromMs) ?? [];
    return portless.length === 0 ? own : [...own, ...portless];
  }
}

function keyOf(address: string, port: number | undefined): string {
  return port === undefined ? address : `${address} ${port}`;
}

function keysOf(address: string, port: number | undefined): readonly string[] {
  return port === undefined ? [address] : [address, keyOf(address, port)];
}

/** Whether a record can be that of a packet, by protocol, destination and time. */
function canBe(line: LoggedAttempt, attempt: Attempt): boolean {
  const { destination } = attempt;
  if (destination !== undefined && !isTo(line, destination)) return false;
  if (attempt.fromMs > line.toMs) return false;
  // SCTP asks again by itself, long after the call.
  if (attempt.toMs < line.fromMs && line.protocol !== sctp) return false;
  return sendsPacket(line.protocol, attempt);
}

function isTo(line: LoggedAttempt, { address, port }: SocketAddress): boolean {
  return address === line.address && (line.port === undefined || port === line.port);
}

const tcp = 6;
const dccp = 33;
const sctp = 132;
/** Errors with which a connect ends before it sends anything: see connect(2), tcp(7). */
const sendNothing: ReadonlySet<number> = new Set([-9, -14, -22, -88, -97, -98, -99, -101, -106, -114]);
const notPermitted = -1;

function sendsPacket(protocol: number, { kind, exit, destination }: Attempt): boolean {
  if (protocol === tcp) return kind !== 'write' && destination !== undefined && !sendNothing.has(exit);
  if (protocol === sctp || protocol === dccp) return !sendNothing.has(exit);
  // What the fence refuses fails with this. Any other error of a datagram is of the one before it.
  return kind !== 'connect' && exit === notPermitted;
}

/**
 * Where some records are of processes that had the packet's destination, others are not those of processes that are known
 * to have had connected sockets, and to other destinations.
 */
function likelyAmong<A extends Attempt>(line: LoggedAttempt, attempts: readonly A[]): readonly A[] {
  const hasIt = ({ destination, peers }: A): boolean =>
    destination !== undefined || (peers?.some((peer) => isTo(line, peer)) ?? false);
  return attempts.some(hasIt) ? attempts.filter((attempt) => attempt.peers === undefined || hasIt(attempt)) : attempts;
}

/** What a packet was given once stays its own. */
function settledAmong<A extends Attempt>({ settled }: Line<A>, attempts: readonly A[]): readonly A[] {
  return settled === undefined ? attempts : attempts.filter(({ pid }) => pid === settled.pid);
}

/**
 * Whether every packet can have a record of its own, with `attempt` that of `line` where they are given. By augmenting
 * paths: a packet takes a record from another one that can have a different one.
 */
function canAllHave<A>(together: Together<A>, line?: Line<A>, attempt?: A): boolean {
  const taken = new Map<A, Line<A>>();
  if (line !== undefined && attempt !== undefined) taken.set(attempt, line);
  const place = (next: Line<A>, seen: Set<A>): boolean => {
    for (const wish of together.get(next) ?? []) {
      if (wish === attempt || seen.has(wish)) continue;
      seen.add(wish);
      const holder = taken.get(wish);
      if (holder === undefined || place(holder, seen)) {
        taken.set(wish, next);
        return true;
      }
    }
    return false;
  };
  for (const next of together.keys()) if (next !== line && !place(next, new Set())) return false;
  return true;
}

/** A process of another exec with the same number is not there: numbers are those of the kernel. */
function groupByProcess<A extends Attempt>(attempts: readonly A[]): readonly (readonly A[])[] {
  const groups = new Map<number, A[]>();
  for (const attempt of attempts) {
    const group = groups.get(attempt.pid);
    if (group === undefined) groups.set(attempt.pid, [attempt]);
    else group.push(attempt);
  }
  return [...groups.values()];
}

function several<A extends Attempt>(byProcess: readonly (readonly A[])[]): Verdict<A> {
  return { kind: 'several', attempts: byProcess.flatMap(([first]) => first ?? []) };
}

function append<T extends Span>(map: Map<string, RecentList<T>>, key: string, value: T): void {
  const list = map.get(key) ?? new RecentList<T>();
  if (list.size === 0) map.set(key, list);
  list.add(value);
}
