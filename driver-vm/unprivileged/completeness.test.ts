import test from 'ava';
import type { FenceCounts } from '../../channel/index.ts';
import { incompleteReasons, type RecordState, type RecordSummary, summaryOfClosed } from './completeness.ts';

const counts: FenceCounts = {
  deniedTcp: 1,
  deniedUdp: 2,
  deniedOther: 3,
  logged: 4,
  unlogged: 2,
  direct: 0,
  overflow: 0,
  portsFull: false,
  unread: 0,
  unknown: [],
  auditLoss: null,
};
const whole: RecordState = {
  counts,
  gaps: 0,
  logging: true,
  ran: true,
  beyondBudget: 0,
  dropped: 0,
  canaries: 0,
  canaryLink: undefined,
  unaccounted: 0,
  hostDropped: 0,
  rulesetChanges: 0,
};

const states: readonly (readonly [string, Partial<RecordState>, readonly string[]])[] = [
  ['a record of which everything is known', {}, []],
  ['a sandbox in which nothing ran', { counts: undefined, ran: false }, []],
  ['a gap', { gaps: 3 }, ['log-gap: 3 records of the kernel log were overwritten before they were read']],
  ['a fence that cannot log', { logging: false }, ['unlogged: the fence leaves no log line of what it refuses']],
  ['a guest that tells too much', { beyondBudget: 7 }, ['event-budget: 7 facts were more than one sandbox may tell']],
  ['a full disk', { dropped: 2 }, ['unwritten: 2 events are not in the log, because the disk did not take them']],
  [
    'missed canaries',
    { canaries: 2, canaryLink: 'logged' },
    ["canary: missed 2 times, first because of the link 'logged'"],
  ],
  ['counters that could not be read', { counts: null }, ['unknown: the counters of the fence could not be read']],
  [
    'a guest that died under its workload',
    { counts: undefined },
    ['unknown: the sandbox ended before its counters were read'],
  ],
  [
    'packets that nothing explains',
    { unaccounted: 5 },
    ['unknown: 5 packets were counted of which nothing else was told'],
  ],
  [
    'packets that came past the fence',
    { hostDropped: 3 },
    ['bypassed: 3 packets came past the fence, whose word counts no more'],
  ],
  [
    'a ruleset that somebody changed',
    { rulesetChanges: 2 },
    ['unknown: a ruleset was changed 2 times until it was loaded again'],
  ],
  [
    'audit records that were lost',
    { counts: { ...counts, auditLoss: '12 audit records were never read' } },
    ['audit-loss: 12 audit records were never read, so a process may not be named'],
  ],
  [
    'full sets',
    { counts: { ...counts, overflow: 9, portsFull: true } },
    [
      'overflow: 9 packets found no place in the sets and are counted by kind',
      'overflow: a set of ports was full, and packets beyond are counted without their port',
    ],
  ],
  [
    'lines that were not read',
    { counts: { ...counts, unread: 4 } },
    ['log-unread: 4 lines of the fence were logged and not read'],
  ],
  [
    'spans of the guest’s own words',
    { counts: { ...counts, unknown: ['the table was made anew', '\x1b[2J'] } },
    ['unknown: the table was made anew', 'unknown: \\x1b[2J'],
  ],
];
for (const [what, change, reasons] of states) {
  test(`incompleteReasons() of ${what}`, (t) => t.deepEqual(incompleteReasons({ ...whole, ...change }), reasons));
}

test('incompleteReasons() gives all reasons at once', (t) => {
  const state = { ...whole, gaps: 1, logging: false, beyondBudget: 1, dropped: 1, unaccounted: 1, counts: null };
  t.deepEqual(
    incompleteReasons(state).map((reason) => reason.split(':')[0]),
    ['log-gap', 'unlogged', 'event-budget', 'unwritten', 'unknown', 'unknown'],
  );
});

const record: RecordSummary = {
  allowed: 1,
  denied: 2,
  deniedRequests: 0,
  attempts: 1,
  lost: 0,
  invalid: 0,
  findings: 0,
  bypassed: 0,
  report: [],
  complete: true,
  incomplete: [],
};

test('summaryOfClosed() leaves a record complete that is in the log', (t) => {
  t.deepEqual(summaryOfClosed(record, { unwritten: 0, problem: null }), { ...record, unwritten: 0, problem: null });
});

test('summaryOfClosed() calls no record complete that the disk did not take, and says it once', (t) => {
  const reason = 'unwritten: 5 events are not in the log, because the disk did not take them';
  const closed = { unwritten: 5, problem: 'ENOSPC' };
  t.like(summaryOfClosed(record, closed), { ...closed, complete: false, incomplete: [reason] });
  const told = { ...record, complete: false, incomplete: ['log-gap: 1', 'unwritten: 3 events are not in the log'] };
  t.deepEqual(summaryOfClosed(told, closed).incomplete, ['log-gap: 1', reason]);
});
