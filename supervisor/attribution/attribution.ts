import { inNetworkNamespace, loadOverrunGuard } from '../../base/index.ts';
import type { DeniedPacketFact, Origin } from '../../channel/index.ts';
import { AttemptMatcher, type LoggedAttempt, type Verdict } from './attempt-matcher.ts';
import type { AuditAttempt, AuditExecution } from './audit-event.ts';
import type { AuditIds } from './audit-rule.ts';
import { type AuditLoss, type AuditObstacle, AuditTrail, type InMachine } from './audit-trail.ts';
import { type ClockMark, LogClock } from './log-clock.ts';
import { monotonicMs } from './monotonic.ts';
import { type OwnAttempt, originOf, originOfOverload } from './origin.ts';
import { readImage } from './proc-files.ts';
import { type ProcessEvent, ProcessEvents } from './process-events.ts';
import { ProcessTable } from './process-table.ts';
import { SocketFinder } from './socket-holders.ts';

/** What {@link openAttribution} works from. */
export type AttributionOptions = {
  /** Audit session ids of the sandbox's execs: exec number `n` has `first + n`. */
  readonly ids: AuditIds;
  /** Process whose descendants the workload's processes are. @default this one */
  readonly root?: number;
  /** Whether arguments of the root's own children are left out. @default false */
  readonly hidesStarters?: boolean;
  /** Whether to use the kernel's audit system. @default true */
  readonly audit?: boolean;
  /** How long a packet waits for its audit record, in milliseconds. @default 40 */
  readonly waitMs?: number;
  /** Writes a mark to the kernel log and says when; see {@link LogClock}. Called now and then. */
  readonly mark?: () => Promise<ClockMark>;
  /** Called with each process event of the machine, where the kernel tells of them. */
  readonly onProcess?: (event: ProcessEvent) => void;
  /** Path of the machine's first network namespace, where this process stands in another one. */
  readonly machineNamespace?: string;
  /** Path of the workload's network namespace, in which sockets are looked up that are still open. */
  readonly namespace?: string;
};

type Writable<T> = { -readonly [Key in keyof T]: T[Key] };

type Pending = {
  readonly fact: DeniedPacketFact;
  readonly line: LoggedAttempt;
  readonly sinceMs: number;
  readonly resolve: (origin: Origin) => void;
};

const defaultWaitMs = 40;
/** Packets that wait for their records at most; of those beyond, the exec is told at once. */
const maxPending = 2000;
/** How long a record that fits is held against those of other processes that may still come. */
const graceMs = 10;
/** So many times as long as for its record a packet waits where several can have sent it. */
const patience = 5;
const tickMs = 5;
/** It asks again by itself, long after the call. */
const sctp = 132;
/** How long records and packets are kept for those that come late. */
const keepMs = 10_000;
const markEveryMs = 10_000;
const noLoss: AuditLoss = { missing: 0, overrun: false, disturbed: false };
/** An audit record's time is in whole milliseconds, and the clocks are read one after the other. */
const inexactMs = 2;

/**
 * Begins to watch what the processes of a sandbox do. Call it before the first exec, and give each exec its id, which its
 * first process writes to `/proc/self/loginuid`.
 *
 * It never fails: what the kernel does not offer is done without, and each {@link Origin} says by which way it was found.
 */
export async function openAttribution(options: AttributionOptions): Promise<Attribution> {
  const attribution = new Attribution(options);
  await attribution.begin();
  return attribution;
}

/** Says of each refused packet who sent it. Made by {@link openAttribution}. */
export class Attribution {
  readonly #options: AttributionOptions;
  readonly #matcher = new AttemptMatcher<OwnAttempt>();
  readonly #clock = new LogClock();
  readonly #table: ProcessTable;
  readonly #finder: SocketFinder | undefined;
  readonly #pending = new Set<Pending>();
  #trail: AuditTrail | undefined;
  #obstacle: AuditObstacle | undefined;
  #events: ProcessEvents | undefined;
  /** Attempts whose time the process events may tell better, once they have been read. */
  readonly #unrefined: Writable<OwnAttempt>[] = [];
  #timer: NodeJS.Timeout | undefined;
  #lossUntilMs = Number.NEGATIVE_INFINITY;
  #forgottenMs = 0;
  #lossSeenMs = 0;
  #loss: AuditLoss = noLoss;
  #isMarking = false;
  #isCatchingUp = false;
  #isCatchingEvents = false;
  /** All process events from before this moment have been read. */
  #eventsMs = Number.NEGATIVE_INFINITY;
  /** All records from before this moment have been read. */
  #caughtUpMs = Number.NEGATIVE_INFINITY;

  constructor(options: AttributionOptions) {
    this.#options = options;
    this.#table = new ProcessTable(options.root ?? process.pid, options);
    this.#finder = options.namespace === undefined ? undefined : new SocketFinder(options.namespace);
  }

  /** Why audit is not used; `undefined` where it is. */
  get obstacle(): AuditObstacle | undefined {
    return this.#obstacle;
  }

  async begin(): Promise<void> {
    const { ids, machineNamespace } = this.#options;
    const guard = await loadOverrunGuard();
    const inMachine: InMachine = async (body) =>
      machineNamespace === undefined ? guard(body) : await inNetworkNamespace(machineNamespace, () => guard(body));
    try {
      this.#events = await inMachine(
        () =>
          new ProcessEvents({
            onEvent: (event) => {
              this.#table.take(event);
              this.#options.onProcess?.(event);
              if (event.kind === 'exec' && this.#trail === undefined) this.#readImage(event.pid, event.atMs);
            },
            onLost: () => this.#table.markLost(),
          }),
      );
    } catch {
      // Ancestors of processes that are gone stay unknown.
    }
    const trail =
      this.#options.audit === false
        ? 'off'
        : await AuditTrail.open({
            ids,
            now: monotonicMs,
            onEvent: (event) => this.#take(event),
            inMachine,
          });
    if (typeof trail === 'string') this.#obstacle = trail;
    else this.#trail = trail;
    // The log's reader may be far behind yet.
    void this.#mark();
  }

  /**
   * Who sent a refused packet. `readMs` is when its line was read, in milliseconds of CLOCK_MONOTONIC. With audit the answer
   * takes up to some tens of milliseconds, in which the record comes; without, it is looked for at once.
   */
  async attribute(fact: DeniedPacketFact, readMs = monotonicMs()): Promise<Origin> {
    const line = this.#matcher.addLine({
      ...this.#clock.spanOf(Number(fact.monotonic) * 1000, readMs),
      exec: fact.mark ?? undefined,
      protocol: fact.protocol,
      address: fact.destination,
      port: fact.destinationPort ?? undefined,
      readMs: monotonicMs(),
    });
    if (this.#pending.size >= maxPending) return originOfOverload(fact);
    if (this.#trail === undefined) return await this.#conclude(fact, line, { kind: 'none' });
    return await new Promise((resolve) => {
      this.#pending.add({ fact, line, sinceMs: monotonicMs(), resolve });
      this.#timer ??= setTimeout(() => this.#tick(), tickMs);
      if (this.#clock.ageMs(readMs) > markEveryMs) void this.#mark();
    });
  }

  /** Resolves when all process events have been told of that were before the call; `false` when that cannot be known. */
  async settleProcesses(): Promise<boolean> {
    return (await this.#events?.passBarrier()) ?? false;
  }

  /** What was lost of the audit records since the last call; `undefined` where audit is not used. */
  async takeLoss(): Promise<AuditLoss | undefined> {
    await this.#noteLoss();
    const loss = this.#loss;
    this.#loss = noLoss;
    return this.#trail === undefined ? undefined : loss;
  }

  /** Ends the watch; packets that still wait are told of by what is known. */
  async close(): Promise<void> {
    clearTimeout(this.#timer);
    for (const pending of this.#pending) this.#end(pending, this.#matcher.decide(pending.line));
    this.#events?.close();
    await this.#finder?.close();
    await this.#trail?.close();
  }

  #take(event: AuditAttempt | AuditExecution): void {
    const nowMs = monotonicMs();
    // The two clocks may part at any time, so their distance is taken anew for each record.
    const fromMs = event.timeMs - (Date.now() - nowMs) - inexactMs;
    if (event.kind === 'execute') {
      const { pid, serial, binary, arguments: argv } = event;
      const image = binary === undefined ? undefined : { binary, arguments: argv };
      this.#table.execute({ pid, serial, atMs: fromMs, image });
      return;
    }
    const exec = event.auid - this.#options.ids.first;
    if (exec < 0 || event.auid > this.#options.ids.last) return;
    const attempt: Writable<OwnAttempt> = { ...event, exec, atMs: fromMs, fromMs, toMs: nowMs };
    this.#matcher.addAttempt(attempt);
    this.#unrefined.push(attempt);
  }

  /** The kernel tells of every process of the machine. */
  #readImage(pid: number, atMs: number): void {
    if (this.#table.find(pid, atMs) === undefined) return;
    const image = readImage(pid);
    this.#table.execute({ pid, serial: atMs, atMs, image, seenMs: monotonicMs() });
  }

  #tick(): void {
    const nowMs = monotonicMs();
    const waitMs = this.#options.waitMs ?? defaultWaitMs;
    const matureMs = this.#caughtUpMs - waitMs;
    if (!this.#isCatchingEvents) void this.#catchUpEvents();
    for (const pending of this.#pending) {
      // Events that are read late would name the wrong parents, or those of another process of the same number.
      if (this.#eventsMs < pending.sinceMs) break;
      const ageMs = nowMs - pending.sinceMs;
      if (ageMs < graceMs) break;
      if (ageMs < waitMs || this.#caughtUpMs < pending.sinceMs + waitMs) {
        const verdict = this.#matcher.decide(pending.line, { matureMs, foreign: false });
        if (this.#isEarly(pending.line, verdict, nowMs)) this.#end(pending, verdict);
        else if (ageMs >= waitMs) void this.#catchUp();
      } else {
        const verdict = this.#matcher.decide(pending.line, { matureMs });
        // Packets after it may tell whose records are theirs, when they are old enough themselves.
        if (verdict.kind !== 'several' || ageMs >= patience * waitMs) this.#end(pending, verdict);
      }
    }
    if (nowMs - this.#forgottenMs > keepMs / 4) {
      this.#matcher.forget(nowMs - keepMs);
      this.#forgottenMs = nowMs;
    }
    if (nowMs - this.#lossSeenMs > 1000) {
      this.#lossSeenMs = nowMs;
      void this.#noteLoss().catch(() => undefined);
    }
    this.#timer = this.#pending.size === 0 ? undefined : setTimeout(() => this.#tick(), tickMs);
  }

  /**
   * Whether a verdict need not wait for the records of others: its record names the destination, to which nobody else went,
   * and the lines of its time have been read.
   */
  #isEarly(line: LoggedAttempt, verdict: Verdict<OwnAttempt>, nowMs: number): boolean {
    if (verdict.kind !== 'one' || verdict.attempt.destination === undefined) return false;
    return nowMs - verdict.attempt.toMs >= graceMs && !this.#matcher.isContested(line, verdict.attempt);
  }

  async #catchUpEvents(): Promise<void> {
    this.#isCatchingEvents = true;
    const begunMs = monotonicMs();
    await this.#events?.passBarrier();
    this.#eventsMs = begunMs;
    for (let next = this.#unrefined[0]; next !== undefined && next.toMs <= begunMs; next = this.#unrefined[0]) {
      this.#unrefined.shift();
      // Both are right, so what they have in common is.
      const { fromMs, toMs } = this.#table.spanOf(next);
      next.fromMs = Math.max(next.fromMs, fromMs);
      next.toMs = Math.max(next.fromMs, Math.min(next.toMs, toMs));
    }
    this.#isCatchingEvents = false;
  }

  /**
   * Under load records come late, in the kernel's queue or ours. So nobody concludes that there is none before a record has
   * come that was made afterwards. Where none comes in time, it is lost for all that we know.
   */
  async #catchUp(): Promise<void> {
    if (this.#trail === undefined || this.#isCatchingUp) return;
    this.#isCatchingUp = true;
    const begunMs = monotonicMs();
    const passed = await this.#trail.passBarrier();
    if (!passed) this.#lossUntilMs = monotonicMs() + keepMs;
    this.#caughtUpMs = begunMs;
    this.#isCatchingUp = false;
  }

  #end(pending: Pending, verdict: Verdict<OwnAttempt>): void {
    this.#pending.delete(pending);
    this.#matcher.settle(pending.line, verdict);
    if (verdict.kind === 'one' && verdict.attempt.destination !== undefined && pending.fact.protocol !== sctp) {
      this.#clock.learn(Number(pending.fact.monotonic) * 1000, verdict.attempt.fromMs, monotonicMs());
    }
    void this.#conclude(pending.fact, pending.line, verdict).then(pending.resolve);
  }

  async #conclude(fact: DeniedPacketFact, line: LoggedAttempt, verdict: Verdict<OwnAttempt>): Promise<Origin> {
    const holders = verdict.kind === 'one' ? undefined : await this.#finder?.find(fact);
    // Whether a holder has executed another program meanwhile shows in the events up to now.
    if (holders !== undefined) await this.#events?.passBarrier();
    return originOf({
      fact,
      span: line,
      verdict,
      holders,
      table: this.#table,
      hasAudit: this.#trail !== undefined,
      hasLoss: this.#lossUntilMs > monotonicMs(),
    });
  }

  async #noteLoss(): Promise<void> {
    const loss = await this.#trail?.takeLoss();
    if (loss === undefined || (loss.missing === 0 && !loss.overrun && !loss.disturbed)) return;
    this.#lossUntilMs = monotonicMs() + keepMs;
    this.#table.markLost();
    this.#loss = {
      missing: this.#loss.missing + loss.missing,
      overrun: this.#loss.overrun || loss.overrun,
      disturbed: this.#loss.disturbed || loss.disturbed,
    };
  }

  async #mark(): Promise<void> {
    if (this.#isMarking || this.#options.mark === undefined) return;
    this.#isMarking = true;
    try {
      this.#clock.mark(await this.#options.mark());
    } catch {
      // Without marks the times are less exact, and more is ambiguous.
    } finally {
      this.#isMarking = false;
    }
  }
}
