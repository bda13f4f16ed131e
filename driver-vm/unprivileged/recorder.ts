import { constants } from 'node:os';
import { isTapwardenError } from '../../base/index.ts';
import type { DeniedPacketFact, Fact, FenceCounts } from '../../channel/index.ts';
import {
  type AggregateReason,
  checkEvent,
  connectAllowed,
  connectDenied,
  connectFailed,
  deepFreeze,
  deniedAggregate,
  deniedPacket,
  type EventBody,
  type EventContext,
  type EventDraft,
  eventsDropped,
  execExited,
  execLaunched,
  fenceUnlogged,
  type JsonlWriter,
  sandboxStarted,
  sandboxStopped,
  telemetryGap,
} from '../../ocsf/index.ts';
import { clientGoneStatus, type Outcome } from '../../proxy/index.ts';
import type { ExecRequest, RunSummary } from '../shared/ipc.ts';
import { originInput } from './packet-origin.ts';

/** What a recorder writes to, and how it tells the time: epoch milliseconds. */
export type RecorderOptions = {
  readonly context: EventContext;
  readonly log: JsonlWriter;
  readonly accelerator: 'kvm' | 'tcg';
  readonly now: () => number;
  /** Events of the guest a second, and at once; the rest is counted, by the fence and here. @default {@link defaultBudget} */
  readonly budget?: EventBudget;
};

/** What a recorder knows of the record; the rest is known when the log is closed. */
export type RecordSummary = Omit<RunSummary, 'unwritten' | 'problem'>;

/** How many events one sandbox may write of what its guest says. */
export type EventBudget = { readonly perSecond: number; readonly atOnce: number };

/** The budget of a sandbox. */
export const defaultBudget: EventBudget = { perSecond: 5000, atOnce: 50_000 };

/** Distinct attempts that are told apart at the most, so that a scan does not eat the memory of this process. */
const maxAttempts = 100_000;

/** Frozen, as the context is, so that what follows from it is worked out once. */
const refuseRule = Object.freeze({ name: 'refuse', comment: 'everything but the proxy is refused' });

const workload = { uid: 1000, name: 'workload' } as const;

/**
 * Turns what the guest and the gateway saw into events, and keeps the counts of the run.
 *
 * The host's word goes over the guest's: time, uid, sequence and device are the host's. A fact becomes one event of the
 * kind that it is, whatever its text says; findings are never made of a guest's words alone.
 */
export class Recorder {
  readonly #options: RecorderOptions;
  readonly #attempts = new Set<string>();
  readonly #recorded = { tcp: 0, udp: 0, other: 0 };
  #context: EventContext;
  #allowed = 0;
  #deniedRequests = 0;
  #counts: FenceCounts | null | undefined;
  #aggregated = 0;
  /** Facts other than packets that were beyond the budget. */
  #withheld = 0;
  /** Events that were not valid, and went out inside another. */
  #invalid = 0;
  #gap = false;
  #unlogged = false;
  #exec: ExecRequest | undefined;
  #startedAt = 0;
  #tokens: { readonly left: number; readonly at: number };

  constructor(options: RecorderOptions) {
    this.#options = options;
    this.#context = deepFreeze(structuredClone(options.context));
    this.#startedAt = options.now();
    this.#tokens = { left: (options.budget ?? defaultBudget).atOnce, at: this.#startedAt };
  }

  /** The guest is up and its fence stands. `logging` is false where the caller accepted refusals that nobody sees. */
  started(kernelRelease: string, logging: boolean): void {
    const { accelerator, now } = this.#options;
    this.#context = deepFreeze({ ...this.#context, kernelRelease });
    this.#append(sandboxStarted(this.#context, { time: now(), accelerator }));
    if (logging) return;
    this.#unlogged = true;
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
    if (!this.#withinBudget()) {
      if (fact.kind !== 'denied-packet') this.#withheld += 1;
      return;
    }
    try {
      this.#fact(fact);
    } catch (error) {
      if (!isTapwardenError(error, 'EVENT_INVALID')) throw error;
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
    this.#aggregate(counts.deniedTcp - this.#recorded.tcp, counts, 6);
    this.#aggregate(counts.deniedUdp - this.#recorded.udp, counts, 17);
    this.#aggregate(counts.deniedOther - this.#recorded.other, counts, undefined);
  }

  /** Says that the log has not taken so many events, now that it takes them again. */
  dropped(count: number): void {
    this.#append(eventsDropped(this.#context, { time: this.#options.now(), dropped: count }));
  }

  /** Writes the last event and returns the counts of the run. */
  stopped(reason: string, failed: boolean, slot: Readonly<Record<string, number>>): RecordSummary {
    const summary = this.#summary();
    this.#append(
      sandboxStopped(this.#context, {
        time: this.#options.now(),
        accelerator: this.#options.accelerator,
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
    return { ...summary, invalid: this.#invalid };
  }

  #summary(): RecordSummary {
    const recorded = this.#recorded.tcp + this.#recorded.udp + this.#recorded.other;
    const counts = this.#counts;
    const known = counts !== null && counts !== undefined;
    return {
      allowed: this.#allowed,
      denied: known ? counts.deniedTcp + counts.deniedUdp + counts.deniedOther : recorded,
      deniedRequests: this.#deniedRequests,
      attempts: this.#attempts.size,
      invalid: this.#invalid,
      // Without counters nobody knows how many packets the log did not tell of; without a workload there were none.
      lost: known
        ? this.#aggregated + this.#withheld
        : counts === undefined && this.#exec === undefined && !this.#gap
          ? 0
          : null,
    };
  }

  #fact(fact: Fact): void {
    switch (fact.kind) {
      case 'denied-packet':
        return this.#packet(fact);
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
        this.#gap = true;
        return this.#append(telemetryGap(this.#context, { ...fact, time: this.#options.now(), source: '/dev/kmsg' }));
    }
  }

  #packet(fact: DeniedPacketFact): void {
    this.#append(
      deniedPacket(this.#context, {
        time: this.#options.now(),
        originalTime: fact.monotonic,
        protocol: fact.protocol,
        source: { ip: fact.source, port: fact.sourcePort ?? undefined },
        destination: { ip: fact.destination, port: fact.destinationPort ?? undefined },
        interfaceOut: fact.interfaceOut,
        length: fact.length,
        uid: fact.uid ?? undefined,
        gid: fact.gid ?? undefined,
        mark: fact.mark ?? undefined,
        tcpFlags: fact.tcpFlags ?? undefined,
        icmp: fact.icmp ?? undefined,
        sequence: fact.sequence,
        rawLine: fact.raw,
        origin: originInput(fact.origin),
        rule: refuseRule,
        verdict: fact.protocol === 6 ? 'tcp-reset' : 'icmpx-admin-prohibited',
      }),
    );
    this.#recorded[kindOf(fact.protocol)] += 1;
    if (this.#attempts.size < maxAttempts) {
      this.#attempts.add(`${fact.destination} ${fact.protocol} ${fact.destinationPort ?? ''}`);
    }
  }

  #aggregate(missing: number, counts: FenceCounts, protocol: number | undefined): void {
    if (missing <= 0) return;
    const reason: AggregateReason = this.#gap ? 'records-lost' : counts.unlogged > 0 ? 'log-limit' : 'unknown';
    this.#aggregated += missing;
    this.#recorded[protocol === undefined ? 'other' : kindOf(protocol)] += missing;
    this.#append(
      deniedAggregate(this.#context, {
        startTime: this.#startedAt,
        endTime: this.#options.now(),
        count: missing,
        ...(protocol === undefined ? {} : { protocol }),
        source: { ip: '10.200.0.2' },
        reason,
      }),
    );
  }

  #withinBudget(): boolean {
    const { perSecond, atOnce } = this.#options.budget ?? defaultBudget;
    const now = this.#options.now();
    // A clock that was set back earns nothing, and takes nothing.
    const earned = (Math.max(0, now - this.#tokens.at) / 1000) * perSecond;
    const left = Math.min(atOnce, this.#tokens.left + earned);
    const within = left >= 1;
    this.#tokens = { left: within ? left - 1 : left, at: now };
    return within;
  }

  #execInput(exec: ExecRequest) {
    return {
      time: this.#options.now(),
      execId: '1',
      argv: exec.argv,
      workdir: exec.workdir ?? '/home/workload',
      user: workload,
    };
  }

  /** Every event passes here. One that is not valid is carried by one that is, and counted. */
  #append<Draft extends EventDraft>(given: EventBody<Draft>): void {
    const { body, errors } = checkEvent(given as EventBody<EventDraft>, this.#context, this.#options.now());
    if (errors.length > 0) this.#invalid += 1;
    this.#options.log.append(body);
  }
}

/** The counter of the fence that a protocol is counted in. */
function kindOf(protocol: number): 'tcp' | 'udp' | 'other' {
  if (protocol === 6) return 'tcp';
  return protocol === 17 || protocol === 136 ? 'udp' : 'other';
}

function signalName(signal: number): string {
  return Object.entries(constants.signals).find(([, number]) => number === signal)?.[0] ?? `SIG${signal}`;
}

/** A client that has gone already has no address. */
function clientOf(client: { readonly address: string; readonly port: number }) {
  return client.address === '' ? {} : { ip: client.address, port: client.port };
}
