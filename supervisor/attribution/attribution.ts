import type { DeniedPacketFact, Origin } from '../../channel/index.ts';
import { AttemptMatcher, type LoggedAttempt, type Verdict } from './attempt-matcher.ts';
import type { AuditLoss, AuditObstacle } from './audit-trail.ts';
import { type Evidence, type EvidenceOptions, openEvidence } from './evidence.ts';
import { type ClockMark, LogClock } from './log-clock.ts';
import { monotonicMs } from './monotonic.ts';
import { type OwnAttempt, originOf, originOfOverload } from './origin.ts';
import { SocketFinder } from './socket-holders.ts';

/** What {@link openAttribution} works from. */
export type AttributionOptions = EvidenceOptions & {
  /** How long a packet waits for its audit record, in milliseconds. @default 40 */
  readonly waitMs?: number;
  /** How long a packet waits at most, where this process is late or others may have sent it too. @default 10000 */
  readonly mostWaitMs?: number;
  /** Writes a mark to the kernel log and says when; see {@link LogClock}. Called now and then. */
  readonly mark?: () => Promise<ClockMark>;
  /** Path of the workload's network namespace, in which sockets are looked up that are still open. */
  readonly namespace?: string;
  /** Told when answers begin to come late, for want of this process's time, and when they are in time again. */
  readonly onLateness?: (lateness: Lateness) => void;
};

/** How late answers come. */
export type Lateness = 'none' | 'some' | 'much';

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
/** Looking through the packets that wait takes a part of the time at most: the rest is for what they wait for. */
const restAfterTick = 4;
/** So long at once; the oldest come first. In a flood each of thousands can be anybody's, and to look at one takes long. */
const mostTickMs = 20;
/** It asks again by itself, long after the call. */
const sctp = 132;
/** How long records and packets are kept for those that come late. */
const keepMs = 10_000;
const mostKeepMs = 60_000;
const defaultMostWaitMs = 10_000;
const markEveryMs = 10_000;
/** The age of the packet that waits longest, from which on answers are so late, and below which they no longer are. */
const latenessMs = { some: { from: 250, below: 100 }, much: { from: 2000, below: 500 } } as const;

/**
 * Begins to watch what the processes of a sandbox do. Call it before the first exec, and give each exec its id, which its
 * first process writes to `/proc/self/loginuid`.
 *
 * It never fails: what the kernel does not offer is done without, and each {@link Origin} says by which way it was found.
 */
export async function openAttribution(options: AttributionOptions): Promise<Attribution> {
  const matcher = new AttemptMatcher<OwnAttempt>();
  return new Attribution(options, matcher, await openEvidence(options, matcher));
}

/** Says of each refused packet who sent it. Made by {@link openAttribution}. */
export class Attribution {
  readonly #options: AttributionOptions;
  readonly #matcher: AttemptMatcher<OwnAttempt>;
  readonly #evidence: Evidence;
  readonly #clock = new LogClock();
  readonly #finder: SocketFinder | undefined;
  readonly #pending = new Set<Pending>();
  #timer: NodeJS.Timeout | undefined;
  #forgottenMs = 0;
  #lossSeenMs = 0;
  #isMarking = false;
  #lateness: Lateness = 'none';

  constructor(options: AttributionOptions, matcher: AttemptMatcher<OwnAttempt>, evidence: Evidence) {
    this.#options = options;
    this.#matcher = matcher;
    this.#evidence = evidence;
    this.#finder = options.namespace === undefined ? undefined : new SocketFinder(options.namespace);
    // The log's reader may be far behind yet.
    void this.#mark();
  }

  /** Why audit is not used; `undefined` where it is. */
  get obstacle(): AuditObstacle | undefined {
    return this.#evidence.obstacle;
  }

  /**
   * Who sent a refused packet. `readMs` is when its line was read, in milliseconds of CLOCK_MONOTONIC. With audit the answer
   * takes up to some tens of milliseconds, in which the record comes; without, it is looked for at once.
   */
  async attribute(fact: DeniedPacketFact, readMs = monotonicMs()): Promise<Origin> {
    const { fromMs, toMs } = this.#clock.spanOf(Number(fact.monotonic) * 1000, readMs);
    const line = this.#matcher.addLine({
      fromMs,
      toMs,
      exec: fact.mark ?? undefined,
      protocol: fact.protocol,
      address: fact.destination,
      port: fact.destinationPort ?? undefined,
      readMs: monotonicMs(),
    });
    if (this.#pending.size >= maxPending) return originOfOverload(fact);
    if (this.obstacle !== undefined) return await this.#conclude(fact, line, { kind: 'none' });
    return await new Promise((resolve) => {
      this.#pending.add({ fact, line, sinceMs: monotonicMs(), resolve });
      this.#timer ??= setTimeout(() => this.#tick(), tickMs);
      if (this.#clock.ageMs(readMs) > markEveryMs) void this.#mark();
    });
  }

  /** Resolves when all process events have been told of that were before the call; `false` when that cannot be known. */
  async settleProcesses(): Promise<boolean> {
    return await this.#evidence.settleProcesses();
  }

  /** What was lost of the audit records since the last call; `undefined` where audit is not used. */
  async takeLoss(): Promise<AuditLoss | undefined> {
    return await this.#evidence.takeLoss();
  }

  /** Ends the watch; packets that still wait are told of by what is known. */
  async close(): Promise<void> {
    clearTimeout(this.#timer);
    for (const pending of this.#pending) this.#end(pending, this.#matcher.decide(pending.line));
    await this.#finder?.close();
    await this.#evidence.close();
  }

  #tick(): void {
    const nowMs = monotonicMs();
    const { mostWaitMs = defaultMostWaitMs } = this.#options;
    void this.#evidence.catchUpEvents();
    for (const pending of this.#pending) {
      const ageMs = nowMs - pending.sinceMs;
      if (ageMs >= mostWaitMs) {
        this.#giveUp(pending);
        continue;
      }
      // Events that are read late would name the wrong parents, or those of another process of the same number.
      if (ageMs < graceMs || this.#evidence.eventsMs < pending.sinceMs || monotonicMs() - nowMs > mostTickMs) break;
      const verdict = this.#verdictOn(pending, nowMs);
      if (verdict !== undefined) this.#end(pending, verdict);
      else if (ageMs >= this.#waitMs) void this.#evidence.catchUp();
    }
    if (nowMs - this.#forgottenMs > keepMs / 4) {
      // Packets that wait still need what is of their time, however late this process is.
      const [oldest] = this.#pending;
      this.#matcher.forget(Math.max((oldest?.sinceMs ?? nowMs) - keepMs, nowMs - mostKeepMs));
      this.#forgottenMs = nowMs;
    }
    if (nowMs - this.#lossSeenMs > 1000) {
      this.#lossSeenMs = nowMs;
      void this.#evidence.noteLoss().catch(() => undefined);
    }
    this.#tellLateness();
    const restMs = Math.max(tickMs, restAfterTick * (monotonicMs() - nowMs));
    this.#timer = this.#pending.size === 0 ? undefined : setTimeout(() => this.#tick(), restMs);
  }

  #tellLateness(): void {
    const [oldest] = this.#pending;
    // Its line may have been read late as well.
    const ageMs = oldest === undefined ? 0 : monotonicMs() - oldest.line.toMs;
    const { some, much } = latenessMs;
    const isMuch = ageMs >= (this.#lateness === 'much' ? much.below : much.from);
    const isSome = ageMs >= (this.#lateness === 'none' ? some.from : some.below);
    const lateness = isMuch ? 'much' : isSome ? 'some' : 'none';
    if (lateness === this.#lateness) return;
    this.#lateness = lateness;
    this.#options.onLateness?.(lateness);
  }

  get #waitMs(): number {
    return this.#options.waitMs ?? defaultWaitMs;
  }

  /** What can be said of a packet for good; `undefined` as long as something may come that changes it. */
  #verdictOn({ line, sinceMs }: Pending, nowMs: number): Verdict<OwnAttempt> | undefined {
    const { caughtUpMs } = this.#evidence;
    const matureMs = caughtUpMs - this.#waitMs;
    if (matureMs >= sinceMs) {
      const verdict = this.#matcher.decide(line, { matureMs });
      // Packets after it may tell whose records are theirs, when they are old enough themselves.
      return verdict.kind !== 'several' || caughtUpMs - sinceMs >= patience * this.#waitMs ? verdict : undefined;
    }
    if (!this.#matcher.isNamed(line)) return undefined;
    const verdict = this.#matcher.decide(line, { matureMs, foreign: false });
    return this.#isEarly(line, verdict, nowMs) ? verdict : undefined;
  }

  /**
   * Whether a verdict need not wait for the records of others: its record names the destination, to which nobody else went,
   * and the lines of its time have been read.
   */
  #isEarly(line: LoggedAttempt, verdict: Verdict<OwnAttempt>, nowMs: number): boolean {
    if (verdict.kind !== 'one' || verdict.attempt.destination === undefined) return false;
    return nowMs - verdict.attempt.toMs >= graceMs && !this.#matcher.isContested(line, verdict.attempt);
  }

  #giveUp(pending: Pending): void {
    this.#pending.delete(pending);
    pending.resolve(originOfOverload(pending.fact));
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
    if (holders !== undefined) await this.#evidence.passEvents();
    return originOf({
      fact,
      span: line,
      verdict,
      holders,
      table: this.#evidence.table,
      hasAudit: this.obstacle === undefined,
      hasLoss: this.#evidence.hasLoss,
    });
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
