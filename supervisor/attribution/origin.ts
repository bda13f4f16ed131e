import {
  type DeniedPacketFact,
  maxOriginProcesses,
  type Origin,
  type OriginProcess,
  type OriginReason,
} from '../../channel/index.ts';
import type { Attempt, Verdict } from './attempt-matcher.ts';
import type { Span } from './log-clock.ts';
import type { Image, KnownProcess, ProcessTable } from './process-table.ts';

/** A record of audit with what it tells of its process. */
export type OwnAttempt = Attempt & {
  readonly uid: number;
  readonly binary: string | undefined;
  /** Its beginning by its record, which may be some milliseconds too early. */
  readonly atMs: number;
};

/** Processes that hold the socket of a packet, and how they were found. */
export type SocketHolders = { readonly method: 'socket' | 'proc'; readonly holders: readonly Holder[] };

/** A process that holds a socket, as it was when that was found. */
export type Holder = { readonly pid: number; readonly uid: number | undefined; readonly image: Image | undefined };

/** What is known of a packet's origin. */
export type Findings = {
  readonly fact: Pick<DeniedPacketFact, 'uid' | 'mark'>;
  /** When the packet was logged. */
  readonly span: Span;
  readonly verdict: Verdict<OwnAttempt>;
  readonly holders: SocketHolders | undefined;
  readonly table: ProcessTable;
  readonly hasAudit: boolean;
  /** Whether audit records of that time were lost. */
  readonly hasLoss: boolean;
};

/** Makes of the findings what can be said, and no more. */
export function originOf(findings: Findings): Origin {
  const { verdict, holders } = findings;
  if (verdict.kind === 'one') return byAudit(findings, verdict.attempt);
  const [holder] = holders?.holders ?? [];
  if (holders?.holders.length === 1 && holder !== undefined && canHaveSent(findings, holder.pid)) {
    return bySocket(findings, holder, holders.method);
  }
  return unnamed(findings);
}

function byAudit(findings: Findings, attempt: OwnAttempt): Origin {
  const { fact, table } = findings;
  const { mark } = fact;
  const isForeign = mark !== null && attempt.exec !== mark;
  const reason = reasonOfAudit(findings, attempt, isForeign);
  const isHandedOn = reason === 'mark-disagrees' || reason === 'owner-disagrees';
  return {
    method: 'audit',
    confidence: isHandedOn ? 'low' : reason === null ? 'high' : 'medium',
    reason,
    exec: attempt.exec,
    process: processOf(findings, attempt),
    ancestors: ancestorsOf(table, attempt.pid, attempt.atMs, findings.span.toMs),
    candidates: [],
    conflict: isForeign ? { markExec: mark, auditExec: attempt.exec } : null,
  };
}

function reasonOfAudit({ fact, hasLoss }: Findings, attempt: OwnAttempt, isForeign: boolean): OriginReason | null {
  if (isForeign) return 'mark-disagrees';
  if (fact.uid !== null && fact.uid !== attempt.uid) return 'owner-disagrees';
  if (hasLoss) return 'records-lost';
  return attempt.destination === undefined ? 'destination-not-recorded' : null;
}

/** A process that began later has the socket from another one, or a new one with the same port. */
function canHaveSent({ verdict, table, span }: Findings, pid: number): boolean {
  if (verdict.kind === 'several' && !verdict.attempts.some((attempt) => attempt.pid === pid)) return false;
  return !table.hasStartedSince(pid, span.fromMs);
}

/** The program is the one of now only if the process has executed no other since. */
function bySocket({ fact, span, table, hasAudit }: Findings, holder: Holder, method: SocketHolders['method']): Origin {
  const { pid } = holder;
  const { fromMs, toMs } = span;
  const image = table.imageDuring(pid, span) ?? (table.hasExecutedSince(pid, fromMs) ? undefined : holder.image);
  return {
    method,
    confidence: method === 'socket' ? 'medium' : 'low',
    reason: hasAudit ? 'no-record' : null,
    exec: fact.mark,
    process: {
      pid,
      uid: holder.uid ?? null,
      binary: image?.binary ?? null,
      arguments: image?.arguments ?? [],
      ageMs: ageOf(table.find(pid, fromMs), toMs),
    },
    ancestors: ancestorsOf(table, pid, fromMs, toMs),
    candidates: [],
    conflict: null,
  };
}

/** What the line alone tells, where more packets come at once than can be looked for. */
export function originOfOverload({ uid, mark }: Findings['fact']): Origin {
  return {
    method: mark !== null ? 'exec' : uid !== null ? 'uid' : 'unknown',
    confidence: 'low',
    reason: 'too-many',
    exec: mark,
    process: null,
    ancestors: [],
    candidates: [],
    conflict: null,
  };
}

function unnamed(findings: Findings): Origin {
  return {
    ...originOfOverload(findings.fact),
    reason: reasonOfNone(findings),
    candidates: candidatesOf(findings).slice(0, maxOriginProcesses),
  };
}

function reasonOfNone({ verdict, holders, hasAudit, hasLoss }: Findings): OriginReason {
  if (verdict.kind === 'several') return 'several-processes';
  if (holders !== undefined && holders.holders.length > 1) return 'shared-socket';
  if (!hasAudit) return 'socket-gone';
  return hasLoss ? 'records-lost' : 'no-record';
}

function candidatesOf(findings: Findings): readonly OriginProcess[] {
  const { verdict, holders, table, span } = findings;
  if (verdict.kind === 'several') return verdict.attempts.map((attempt) => processOf(findings, attempt));
  if (holders === undefined || holders.holders.length < 2) return [];
  return holders.holders.map(({ pid, uid }) => ({
    pid,
    uid: uid ?? null,
    binary: table.imageDuring(pid, span)?.binary ?? null,
    arguments: [],
    ageMs: ageOf(table.find(pid, span.fromMs), span.toMs),
  }));
}

function processOf({ table, span }: Findings, attempt: OwnAttempt): OriginProcess {
  const { pid, uid, binary } = attempt;
  const image = table.imageBefore(attempt);
  return {
    pid,
    uid,
    binary: binary ?? null,
    // Those of another program would be wrong: its execution was not seen.
    arguments: image !== undefined && isSameBinary(image.binary, binary) ? image.arguments : [],
    ageMs: ageOf(table.find(pid, attempt.atMs), span.toMs),
  };
}

/** A program may have been deleted since it was started. */
function isSameBinary(one: string, other: string | undefined): boolean {
  const suffix = ' (deleted)';
  return one === other || `${one}${suffix}` === other;
}

function ancestorsOf(table: ProcessTable, pid: number, fromMs: number, atMs: number): readonly OriginProcess[] {
  return table
    .ancestorsOf(pid, fromMs)
    .slice(0, maxOriginProcesses)
    .map((known) => ({
      pid: known.pid,
      uid: null,
      binary: known.image?.binary ?? null,
      arguments: known.image?.arguments ?? [],
      ageMs: ageOf(known, atMs),
    }));
}

function ageOf(known: KnownProcess | undefined, atMs: number): number | null {
  return known === undefined ? null : Math.max(0, Math.round(atMs - known.startMs));
}
