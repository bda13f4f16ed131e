import type { IncompleteCode } from '../../../driver-vm/shared/incomplete.ts';
import { defaultBudget } from '../../../driver-vm/unprivileged/event-budget.ts';
import { code, renderTable } from '../generated-part.ts';

/**
 * Why a record is not complete, and what is exact all the same. `e2e/bypass-detection/incomplete.ts` makes each happen in a
 * run of the product, and docs/evidence.md is made from it.
 */
export const incompleteCases = {
  'log-gap': {
    when: "records of the kernel log were overwritten before they were read. They may have been others than the fence's",
    exact: 'sums by exec and destination',
  },
  'log-unread': { when: 'fewer lines of the fence were read than it wrote', exact: 'sums by exec and destination' },
  unlogged: {
    when: 'the guest cannot log (`--allow-unlogged`)',
    exact: 'sums by exec and destination, but by no process and user',
  },
  overflow: { when: 'packets found no place in the sets, or a set of ports was full', exact: 'sums by kind' },
  'event-budget': {
    when: `the guest told of more than one sandbox may write: ${defaultBudget.perSecond.toLocaleString('en')} events a second, ${defaultBudget.atOnce.toLocaleString('en')} at once`,
    exact: 'sums by kind',
  },
  canary: {
    when: 'a canary was missed',
    exact: 'what was told; packets may have been let out, or refused untold',
  },
  unwritten: { when: 'the disk did not take events', exact: 'what is in the log; `unwritten` counts the rest' },
  bypassed: {
    when: 'packets came past the fence and were dropped by the host: the guest is compromised, and its word counts no more',
    exact: 'what the host saw itself',
  },
  'audit-loss': {
    when: "records of the kernel's audit system, by which processes are known, were lost. See [attribution.md](attribution.md)",
    exact: 'all counts; of some packets the exec alone is known, and they say so',
  },
  unknown: {
    when: 'a span of time of which something is not known: the table was deleted or made anew, a counter or set told of less than before, the counters could not be read, sets and counters differ, a ruleset was changed by somebody else, or the guest died under its workload',
    exact: 'what was told before',
  },
  'no-record': { when: 'the run failed before its record was closed', exact: '–' },
} as const satisfies Readonly<Record<IncompleteCode, { readonly when: string; readonly exact: string }>>;

/** The table of {@link incompleteCases}. */
export function renderIncomplete(): string {
  return renderTable(
    ['code', 'when', 'what is still exact'],
    Object.entries(incompleteCases).map(([name, { when, exact }]) => [code([name]), when, exact]),
  );
}
