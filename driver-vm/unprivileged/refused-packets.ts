import { isTapwardenError } from '../../base/index.ts';
import type { DeniedGroup, DeniedPacketFact, FenceCounts } from '../../channel/index.ts';
import {
  type AggregateReason,
  deniedAggregate,
  deniedPacket,
  type EventBody,
  type EventContext,
  type NetworkActivity,
} from '../../ocsf/index.ts';
import { originInput } from './packet-origin.ts';

/** What is known of the run when packets are told of. */
export type RefusedContext = {
  readonly context: EventContext;
  /** Epoch milliseconds. */
  readonly now: number;
  /** The exec that a mark may stand for; `undefined` where there is none, or the kernel cannot tell. */
  readonly exec: number | undefined;
  readonly logging: boolean;
  /** Whether records of the guest's kernel log were lost. */
  readonly gaps: boolean;
  /** Facts of the guest that were more than one sandbox may tell. */
  readonly beyondBudget: number;
};

/** Distinct attempts that are told apart at the most, so that a scan does not eat the memory of this process. */
const maxAttempts = 100_000;
/** More packets than a fence can refuse; beyond, a sum would be no whole number. */
const maxPackets = 2 ** 52;
/** The workload's addresses, which all its packets leave from. */
const sources = { ip4: '10.200.0.2', ip6: 'fd74:7761:776f::2' } as const;
/** The rule of the fence that refuses. Frozen, as the context is, so that what follows from it is worked out once. */
const rule = Object.freeze({ name: 'refuse', comment: 'everything but the proxy is refused' });

/** The event of a packet that the log told of. */
export function deniedPacketOf(fact: DeniedPacketFact, run: RefusedContext): EventBody<NetworkActivity> {
  return deniedPacket(run.context, {
    time: run.now,
    originalTime: fact.monotonic,
    protocol: fact.protocol,
    source: { ip: fact.source, port: fact.sourcePort ?? undefined },
    destination: { ip: fact.destination, port: fact.destinationPort ?? undefined },
    interfaceOut: fact.interfaceOut,
    length: fact.length,
    uid: fact.uid ?? undefined,
    gid: fact.gid ?? undefined,
    mark: fact.mark ?? undefined,
    exec: execOf(fact.mark, run),
    tcpFlags: fact.tcpFlags ?? undefined,
    icmp: fact.icmp ?? undefined,
    sequence: fact.sequence,
    rawLine: fact.raw,
    origin: originInput(fact.origin),
    rule,
    verdict: fact.protocol === 6 ? 'tcp-reset' : 'icmpx-admin-prohibited',
  });
}

/**
 * Makes events of the packets that the fence refused, and keeps their sum: the `count` of all events (1 where it is
 * absent) is the number of packets that the fence counted.
 */
export class RefusedPackets {
  readonly #append: (event: EventBody<NetworkActivity>) => void;
  readonly #startedAt: number;
  readonly #attempts = new Set<string>();
  readonly #recorded = { tcp: 0, udp: 0, other: 0 };
  #aggregated = 0;
  #overflowed = 0;
  #unaccounted = 0;

  constructor(startedAt: number, append: (event: EventBody<NetworkActivity>) => void) {
    this.#startedAt = startedAt;
    this.#append = append;
  }

  /** Packets that an event was written of. */
  get recorded(): number {
    return this.#recorded.tcp + this.#recorded.udp + this.#recorded.other;
  }

  /** Distinct destinations, protocols and ports among them. */
  get attempts(): number {
    return this.#attempts.size;
  }

  /** Packets without an event of their own. */
  get aggregated(): number {
    return this.#aggregated;
  }

  /** Packets that the counters alone tell of, though neither full sets nor the budget explain it. */
  get unaccounted(): number {
    return this.#unaccounted;
  }

  /** Takes a packet that the log told of. */
  packet(fact: DeniedPacketFact, run: RefusedContext): void {
    this.#append(deniedPacketOf(fact, run));
    this.#note(fact.destination, fact.protocol, fact.destinationPort, 1);
  }

  /**
   * Takes packets of one exec and destination that the log did not tell of, from the last `sinceMs` milliseconds. Returns
   * false when they cannot be an event; the counters tell of them all the same.
   */
  group({ destination, protocol, port, packets, mark }: DeniedGroup, sinceMs: number, run: RefusedContext): boolean {
    if (this.recorded + packets > maxPackets) return false;
    try {
      this.#append(
        deniedAggregate(run.context, {
          startTime: Math.min(run.now, Math.max(this.#startedAt, run.now - sinceMs)),
          endTime: run.now,
          count: packets,
          protocol,
          source: { ip: destination.includes(':') ? sources.ip6 : sources.ip4 },
          destination: { ip: destination, port: port ?? undefined },
          exec: execOf(mark, run),
          reason: run.logging ? (run.gaps ? 'records-lost' : 'log-limit') : 'unlogged',
          rule,
        }),
      );
    } catch (error) {
      if (!isTapwardenError(error, 'EVENT_INVALID')) throw error;
      return false;
    }
    this.#note(destination, protocol, port, packets);
    this.#aggregated += packets;
    return true;
  }

  /** Takes the fence's counters: what they have and no event told of becomes an aggregate event by kind. */
  remainder(counts: FenceCounts, run: RefusedContext): void {
    this.#byKind('tcp', counts.deniedTcp, counts, run);
    this.#byKind('udp', counts.deniedUdp, counts, run);
    this.#byKind('other', counts.deniedOther, counts, run);
  }

  #byKind(kind: 'tcp' | 'udp' | 'other', denied: number, counts: FenceCounts, run: RefusedContext): void {
    const missing = denied - this.#recorded[kind];
    if (missing <= 0) return;
    const overflow = Math.min(missing, Math.max(0, counts.overflow - this.#overflowed));
    this.#overflowed += overflow;
    if (run.beyondBudget === 0) this.#unaccounted += missing - overflow;
    this.#recorded[kind] += missing;
    this.#aggregated += missing;
    this.#append(
      deniedAggregate(run.context, {
        startTime: this.#startedAt,
        endTime: run.now,
        count: missing,
        ...(kind === 'other' ? {} : { protocol: kind === 'tcp' ? 6 : 17 }),
        source: { ip: sources.ip4 },
        reason: remainderReason(overflow > 0, run),
        rule,
      }),
    );
  }

  #note(destination: string, protocol: number, port: number | null, packets: number): void {
    this.#recorded[kindOf(protocol)] += packets;
    if (this.#attempts.size < maxAttempts) this.#attempts.add(`${destination} ${protocol} ${port ?? ''}`);
  }
}

/** Why packets are known by kind alone. What nothing explains is said to be unknown. */
function remainderReason(overflow: boolean, run: RefusedContext): AggregateReason {
  if (overflow) return 'set-full';
  if (run.gaps) return 'records-lost';
  return run.beyondBudget > 0 ? 'event-budget' : 'unknown';
}

/** The exec that a mark of the guest stands for, when there is such a one. */
function execOf(mark: number | null, { exec }: RefusedContext): { readonly id: string } | undefined {
  return exec !== undefined && mark === exec ? { id: String(exec) } : undefined;
}

/** The counter of the fence that a protocol is counted in. */
function kindOf(protocol: number): 'tcp' | 'udp' | 'other' {
  if (protocol === 6) return 'tcp';
  return protocol === 17 || protocol === 136 ? 'udp' : 'other';
}
