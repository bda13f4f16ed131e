import { escapeText } from '../../base/index.ts';
import type { FenceCounts } from '../../channel/index.ts';
import { type IncompleteCode, incompleteReason } from '../shared/incomplete.ts';
import type { RunSummary } from '../shared/ipc.ts';

/** What a recorder knows of the record; the rest is known when the log is closed. */
export type RecordSummary = Omit<RunSummary, 'unwritten' | 'problem'>;

/** What is known of a run's record. */
export type RecordState = {
  /** Records of the guest's kernel log that were overwritten before they were read. */
  readonly gaps: number;
  /** Whether the fence logs what it refuses. */
  readonly logging: boolean;
  /** Whether a workload ran. */
  readonly ran: boolean;
  /** Facts of the guest that were more than one sandbox may tell. */
  readonly beyondBudget: number;
  /** Events that the log did not take. */
  readonly dropped: number;
  /** Rounds of canaries that were missed, and the first link that broke. */
  readonly canaries: number;
  readonly canaryLink: string | undefined;
  /** Packets that the counters tell of and nothing else, though neither full sets nor the budget explain it. */
  readonly unaccounted: number;
  /** Packets that the host dropped although the guest's fence should have. */
  readonly hostDropped: number;
  /** Changes that somebody made to a ruleset of the sandbox. */
  readonly rulesetChanges: number;
  /** The fence's last counters; `null` where they could not be read, `undefined` where the guest never said. */
  readonly counts: FenceCounts | null | undefined;
};

/**
 * Why a run's record may not tell of every attempt, a code and what happened for each; empty when it is complete: no gap
 * in the kernel log, no full set, no span of time of which something is not known.
 */
export function incompleteReasons(state: RecordState): readonly string[] {
  const { gaps, logging, ran, beyondBudget, dropped, canaries, canaryLink, counts } = state;
  const { unaccounted, hostDropped, rulesetChanges } = state;
  const reasons: string[] = [];
  const because = (code: IncompleteCode, what: string): void => void reasons.push(incompleteReason(code, what));
  if (gaps > 0) because('log-gap', `${gaps} records of the kernel log were overwritten before they were read`);
  if (!logging) because('unlogged', 'the fence leaves no log line of what it refuses');
  if (beyondBudget > 0) because('event-budget', `${beyondBudget} facts were more than one sandbox may tell`);
  if (dropped > 0) reasons.push(unwrittenReason(dropped));
  if (canaries > 0) because('canary', `missed ${canaries} times, first because of the link '${canaryLink}'`);
  if (counts === null) because('unknown', 'the counters of the fence could not be read');
  if (counts === undefined && ran) because('unknown', 'the sandbox ended before its counters were read');
  if (unaccounted > 0) because('unknown', `${unaccounted} packets were counted of which nothing else was told`);
  if (hostDropped > 0) because('bypassed', `${hostDropped} packets came past the fence, whose word counts no more`);
  if (rulesetChanges > 0) because('unknown', `a ruleset was changed ${rulesetChanges} times until it was loaded again`);
  return [...reasons, ...(counts === null || counts === undefined ? [] : ofCounts(counts))];
}

/** The summary of a record whose log is closed: only now is it known what of it the disk did not take. */
export function summaryOfClosed(
  record: RecordSummary,
  closed: { readonly unwritten: number; readonly problem: string | null },
): RunSummary {
  const { unwritten } = closed;
  if (unwritten === 0) return { ...record, ...closed };
  const others = record.incomplete.filter((reason) => !reason.startsWith('unwritten:'));
  return { ...record, ...closed, complete: false, incomplete: [...others, unwrittenReason(unwritten)] };
}

function unwrittenReason(events: number): string {
  return incompleteReason('unwritten', `${events} events are not in the log, because the disk did not take them`);
}

function ofCounts({ overflow, portsFull, unread, unknown, auditLoss }: FenceCounts): readonly string[] {
  const overflowing = 'a set of ports was full, and packets beyond are counted without their port';
  const beyond = `${overflow} packets found no place in the sets and are counted by kind`;
  return [
    ...(overflow > 0 ? [incompleteReason('overflow', beyond)] : []),
    ...(portsFull ? [incompleteReason('overflow', overflowing)] : []),
    ...(unread > 0 ? [incompleteReason('log-unread', `${unread} lines of the fence were logged and not read`)] : []),
    ...unknown.map((span) => incompleteReason('unknown', escapeText(span, 280))),
    ...(auditLoss === null
      ? []
      : [incompleteReason('audit-loss', `${escapeText(auditLoss, 280)}, so a process may not be named`)]),
  ];
}
