import type { Attempt } from './attempt.ts';
import type { Completeness } from './run-records.ts';

/** Who made attempts, as far as it is known: a program, else an exec and a user. */
export type Sender = {
  readonly program?: string;
  readonly exec?: string;
  readonly uid?: string;
  readonly count: number;
};

/** Attempts at one destination that were answered alike, for one reason. */
export type Destination = {
  readonly kind: Attempt['kind'];
  readonly outcome: Attempt['outcome'];
  /** Lower-case name, or `protocol-253`; absent where packets were counted without it. */
  readonly protocol?: string;
  /** A name or an address, the workload's word; absent where packets were counted without a destination. */
  readonly host?: string;
  /** Ranges, in order; of more than eight only the first. */
  readonly ports: readonly (readonly [from: number, to: number])[];
  /** Different ports, or at least so many where `portsExact` is false. */
  readonly portCount: number;
  readonly portsExact: boolean;
  /** Packets or requests. */
  readonly count: number;
  readonly events: number;
  /** ISO 8601, UTC. */
  readonly first: string;
  readonly last: string;
  /** The most frequent first. */
  readonly senders: readonly Sender[];
  /** Attempts of senders beyond those that are told apart. */
  readonly otherSenders: number;
  /** The case of the packets, or the code of the requests. */
  readonly case: string;
  /** Absent for what was allowed. */
  readonly why?: string;
  readonly change?: string;
  /** An entry of `rules` of a policy that would allow it, and the value of `--allow` that does the same. */
  readonly rule?: string;
  readonly allow?: string;
};

/** A finding, as its last event has it. */
export type FindingLine = {
  readonly uid: string;
  readonly title: string;
  readonly severity: string;
  readonly activity: string;
  readonly message: string;
  readonly last: string;
};

/** What a log tells of attempts. */
export type EventsSummary = Completeness & {
  readonly packetsRefused: number;
  readonly requests: { readonly refused: number; readonly failed: number; readonly allowed: number };
  readonly first?: string;
  readonly last?: string;
  /** Refused, failed, allowed; the most frequent first. */
  readonly destinations: readonly Destination[];
  /** Attempts at destinations that were not among the first `maxDestinations`. */
  readonly otherDestinations: number;
  readonly findings: readonly FindingLine[];
  readonly otherFindings: number;
};
