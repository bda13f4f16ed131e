import { constants } from 'node:os';
import { isTapwardenError } from '../../base/index.ts';
import type { Fact, FenceCounts } from '../../channel/index.ts';
import {
  type CanaryLink,
  type CanaryMissedInput,
  canaryMissed,
  carryUnmade,
  checkEvent,
  connectAllowed,
  connectDenied,
  connectFailed,
  deepFreeze,
  type EventBody,
  type EventContext,
  type EventDraft,
  EventSummary,
  eventsDropped,
  execExited,
  execLaunched,
  fenceUnlogged,
  type JsonlWriter,
  logReaderRestarted,
  type NetworkActivity,
  type RulesetChangeInput,
  renderBrief,
  rulesetChanged,
  sandboxStarted,
  sandboxStopped,
  telemetryGap,
} from '../../ocsf/index.ts';
import { clientGoneStatus, type Outcome } from '../../proxy/index.ts';
import { type ExecRequest, reportLimits } from '../shared/ipc.ts';
import { incompleteReasons, type RecordSummary } from './completeness.ts';
import { BudgetLeft, defaultBudget, type EventBudget } from './event-budget.ts';
import { Findings, type HostDrops } from './findings.ts';
import { type RefusedContext, RefusedPackets } from './refused-packets.ts';
import { theExec } from './stdio.ts';

/** What a recorder writes to, and how it tells the time: epoch milliseconds. */
export type RecorderOptions = {
  readonly context: EventContext;
  readonly log: JsonlWriter;
  readonly accelerator: 'kvm' | 'tcg' | null;
  /** The workload's uid in the kernel's records. */
  readonly workloadUid: number;
  readonly now: () => number;
  /** Events of the guest a second, and at once; the rest is counted, by the fence and here. @default {@link defaultBudget} */
  readonly budget?: EventBudget;
};

/** Destinations that the report at the end of a run tells of; the log has them all. */
const reportedDestinations = 5;

/**
 * Turns what the guest and the gateway saw into events, and keeps the counts of the run.
 *
 * The host's word goes over the guest's: time, uid, sequence and device are the host's. A fact becomes one event of the
 * kind that it is, whatever its text says; no text of a guest becomes a finding, and one of many refused packets says whose
 * word that is.
 */
export class Recorder {
  readonly #options: RecorderOptions;
  readonly #tried = new EventSummary();
  readonly #findings: Findings;
  readonly #refused: RefusedPackets;
  #context: EventContext;
  #allowed = 0;
  #deniedRequests = 0;
  #counts: FenceCounts | null | undefined;
  /** Facts other than packets that were beyond the budget. */
  #withheld = 0;
  /** Facts of any kind that were. */
  #beyondBudget = 0;
  /** Records of the guest's kernel log that were never read. */
  #gaps = 0;
  #logging = true;
  #marks = true;
  /** Events that were not valid, and went out inside another. */
  #invalid = 0;
  /** Events that the log did not take. */
  #dropped = 0;
  /** Changes that somebody made to a ruleset of the sandbox. */
  #changes = 0;
  /** Rounds of canaries that were missed, and the first link that broke. */
  #missedCanaries = 0;
  #missedLink: CanaryLink | undefined;
  #exec: ExecRequest | undefined;
  #startedAt = 0;
  readonly #budget: BudgetLeft;

  constructor(options: RecorderOptions) {
    this.#options = options;
    this.#context = deepFreeze(structuredClone(options.context));
    this.#startedAt = options.now();
    this.#refused = new RefusedPackets(this.#startedAt, (event) => this.#append(event));
    this.#budget = new BudgetLeft(options.budget ?? defaultBudget, this.#startedAt);
    this.#findings = new Findings({
      now: options.now,
      context: () => this.#context,
      append: (event) => this.#append(event),
    });
  }

  /**
   * The guest is up and its fence stands. `logging` is false where the caller accepted refusals that nobody sees; `marks`
   * where the kernel does not tell which exec a packet is of.
   */
  started(kernelRelease: string, { logging, marks }: { readonly logging: boolean; readonly marks: boolean }): void {
    const { accelerator, now } = this.#options;
    this.#context = deepFreeze({ ...this.#context, kernelRelease });
    const attribution = marks ? 'exec-mark' : 'uid';
    this.#append(sandboxStarted(this.#context, { time: now(), accelerator, attribution }));
    this.#marks = marks;
    if (logging) return;
    this.#logging = false;
    this.#append(fenceUnlogged(this.#context, { time: now(), reason: "the guest's kernel has no log support" }));
  }

  launched(exec: ExecRequest, pid: number): void {
    this.#exec = exec;
    this.#append(execLaunched(this.#context, { ...this.#execInput(exec), pid }));
  }

  exited(end: { readonly status: number | null; readonly signal: number | null }): void {
    if (this.#exec === undefined) return;
    this.#append(
      execExited(this.#context, {
        ...this.#execInput(this.#exec),
        end:
          end.signal === null
            ? { kind: 'exited', exitCode: end.status ?? 0 }
            : { kind: 'signaled', signal: signalName(end.signal) },
      }),
    );
  }

  /**
   * Takes a fact of the guest. One that cannot be an event, or is beyond the budget, is passed over: its packet is in the
   * guest's counters, and what is no packet is counted here.
   */
  fact(fact: Fact): void {
    if (fact.kind === 'denied-packets') return this.#groups(fact);
    if (!this.#budget.take(this.#options.now())) {
      if (fact.kind === 'gap') this.#gaps += fact.missing;
      if (fact.kind !== 'denied-packet') this.#withheld += 1;
      this.#beyondBudget += 1;
      return;
    }
    try {
      this.#fact(fact);
    } catch (error) {
      if (!isTapwardenError(error, 'EVENT_INVALID')) throw error;
      this.#invalid += 1;
      this.#options.log.append(carryUnmade(fact, error, this.#context, this.#options.now()));
    }
  }

  /** Takes a decision of the gateway, or its own refusal. */
  request(outcome: Outcome): void {
    const { request } = outcome;
    const input = {
      time: this.#options.now(),
      host: request.host,
      port: request.port,
      method: request.method,
      ...(request.path === undefined ? {} : { path: request.path }),
      ...(outcome.status === undefined || outcome.status === clientGoneStatus ? {} : { status: outcome.status }),
      client: clientOf(request.client),
      ...(outcome.resolvedAddress === undefined ? {} : { resolved: outcome.resolvedAddress }),
      via: outcome.by,
    };
    switch (outcome.result) {
      case 'open':
        this.#allowed += 1;
        return this.#append(connectAllowed(this.#context, { ...input, decision: { rule: outcome.rule } }));
      case 'denied':
        this.#deniedRequests += 1;
        return this.#append(connectDenied(this.#context, { ...input, decision: outcome.denial }));
      case 'failed':
        return this.#append(
          connectFailed(this.#context, {
            ...input,
            decision: { rule: outcome.rule ?? 'default-deny' },
            failure: { code: outcome.failure.code, reason: outcome.failure.message },
          }),
        );
    }
  }

  /**
   * Takes the fence's counters. What they count and no line told becomes aggregate events, so that the sum over all
   * events is the number of packets refused.
   */
  counts(counts: FenceCounts | null): void {
    this.#counts = counts;
    if (counts === null) return;
    this.#refused.remainder(counts, this.#run());
  }

  /** Takes a canary that was missed, or is seen again. */
  canaryMissed(finding: CanaryMissedInput): void {
    if (finding.step !== 'close') {
      this.#missedCanaries += 1;
      this.#missedLink ??= finding.link;
    }
    this.#append(canaryMissed(this.#context, finding));
  }

  /** Says that the log has not taken so many events, now that it takes them again. */
  dropped(count: number): void {
    this.#dropped += count;
    this.#append(eventsDropped(this.#context, { time: this.#options.now(), dropped: count }));
  }

  /** Takes the drop counters of the host's own table, since the sandbox began: packets that the guest's fence let out. */
  hostDrops(drops: HostDrops): void {
    this.#findings.hostDrops(drops);
  }

  /** Takes a change that somebody made to a ruleset of the sandbox. */
  rulesetChanged(change: Omit<RulesetChangeInput, 'time'>): void {
    const event = rulesetChanged(this.#context, { ...change, time: this.#options.now() });
    const uid = this.#write(event);
    this.#changes += 1;
    const related = uid === undefined ? undefined : { uid, typeUid: event.type_uid };
    this.#findings.rulesetChanged(change.where, event.message, change.restoredMs !== null, related);
  }

  /** To be called every few seconds, for findings that are over. */
  tick(): void {
    this.#findings.tick();
  }

  /** Writes the last events and returns the counts of the run. */
  stopped(reason: string, failed: boolean, slot: HostDrops): RecordSummary {
    this.#findings.hostDrops(slot);
    this.#findings.closeAll();
    const summary = this.#summary();
    this.#append(
      sandboxStopped(this.#context, {
        time: this.#options.now(),
        accelerator: this.#options.accelerator,
        incomplete: summary.incomplete,
        counts: {
          allowed: summary.allowed,
          denied: summary.denied,
          attempts: summary.attempts,
          lost: summary.lost,
          invalid: summary.invalid,
        },
        slot,
        reason,
        failed,
      }),
    );
    // The event that was just written is one of them.
    return { ...summary, invalid: this.#invalid, report: this.#report() };
  }

  /** What was refused, for a person, in lines that are safe to print. */
  #report(): readonly string[] {
    const lines = renderBrief(this.#tried.summary(), { limit: reportedDestinations });
    return lines.slice(0, reportLimits.lines).map((line) => line.slice(0, reportLimits.characters));
  }

  #summary(): Omit<RecordSummary, 'report'> {
    const counts = this.#counts;
    const known = counts !== null && counts !== undefined;
    const incomplete = incompleteReasons({
      counts,
      gaps: this.#gaps,
      logging: this.#logging,
      ran: this.#exec !== undefined,
      beyondBudget: this.#beyondBudget,
      dropped: this.#dropped,
      canaries: this.#missedCanaries,
      canaryLink: this.#missedLink,
      unaccounted: this.#refused.unaccounted,
      hostDropped: this.#findings.hostDropped,
      rulesetChanges: this.#changes,
    });
    return {
      findings: this.#findings.opened,
      bypassed: this.#findings.hostDropped,
      complete: incomplete.length === 0,
      incomplete,
      allowed: this.#allowed,
      // Of a fence that was made anew the counters tell of less than was told before.
      denied: Math.max(known ? counts.deniedTcp + counts.deniedUdp + counts.deniedOther : 0, this.#refused.recorded),
      deniedRequests: this.#deniedRequests,
      attempts: this.#refused.attempts,
      invalid: this.#invalid,
      // Without counters nobody knows how many packets the log did not tell of; without a workload there were none.
      lost: known
        ? this.#refused.aggregated + this.#withheld
        : counts === undefined && this.#exec === undefined && this.#gaps === 0
          ? 0
          : null,
    };
  }

  #fact(fact: Exclude<Fact, { kind: 'denied-packets' }>): void {
    switch (fact.kind) {
      case 'denied-packet':
        return this.#refused.packet(fact, this.#run());
      case 'denied-request':
        this.#append(
          connectDenied(this.#context, {
            time: this.#options.now(),
            host: fact.host,
            port: fact.port,
            method: fact.method,
            ...(fact.path === null ? {} : { path: fact.path }),
            // A refusal by policy is always answered so.
            status: 403,
            client: clientOf(fact.client),
            via: 'guest-proxy',
            decision: { code: fact.code, reason: fact.reason, hint: fact.hint },
          }),
        );
        this.#deniedRequests += 1;
        return;
      case 'gap':
        this.#gaps += fact.missing;
        return this.#append(telemetryGap(this.#context, { ...fact, time: this.#options.now(), source: '/dev/kmsg' }));
      case 'ruleset-changed':
        return this.rulesetChanged(fact);
      case 'forged-lines':
        return this.#findings.linesForged(fact.by, fact.lines);
      case 'restart':
        return this.#append(
          logReaderRestarted(this.#context, { ...fact, time: this.#options.now(), source: '/dev/kmsg' }),
        );
    }
  }

  #groups({ groups, sinceMs }: Extract<Fact, { kind: 'denied-packets' }>): void {
    for (const group of groups) {
      const within = this.#budget.take(this.#options.now());
      if (!within) this.#beyondBudget += 1;
      else this.#refused.group(group, sinceMs, this.#run());
    }
  }

  #run(): RefusedContext {
    return {
      context: this.#context,
      now: this.#options.now(),
      exec: this.#marks && this.#exec !== undefined ? theExec : undefined,
      logging: this.#logging,
      gaps: this.#gaps > 0,
      beyondBudget: this.#beyondBudget,
    };
  }

  #execInput(exec: ExecRequest) {
    return {
      time: this.#options.now(),
      execId: String(theExec),
      argv: exec.argv,
      workdir: exec.workdir ?? '/home/workload',
      user: { uid: this.#options.workloadUid, name: 'workload' },
    };
  }

  #append<Draft extends EventDraft>(event: EventBody<Draft>): void {
    this.#write(event);
  }

  /**
   * Every event passes here. One that is not valid is carried by one that is, and counted. Returns the uid that the log gave
   * it; none where the log did not take it.
   */
  #write<Draft extends EventDraft>(given: EventBody<Draft>): string | undefined {
    const { body, errors } = checkEvent(given as EventBody<EventDraft>, this.#context, this.#options.now());
    if (errors.length > 0) this.#invalid += 1;
    this.#tried.add(body);
    const uid = this.#options.log.append(body)?.uid;
    if (body.class_uid === 4001) this.#findings.refused(body as EventBody<NetworkActivity>, uid);
    return uid;
  }
}

function signalName(signal: number): string {
  return Object.entries(constants.signals).find(([, number]) => number === signal)?.[0] ?? `SIG${signal}`;
}

/** A client that has gone already has no address. */
function clientOf(client: { readonly address: string; readonly port: number }) {
  return client.address === '' ? {} : { ip: client.address, port: client.port };
}
