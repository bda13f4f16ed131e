import type { FindingKind } from '../../../ocsf/finding.ts';
import { code, renderTable } from '../generated-part.ts';

/** When a finding is made, as its test tries it. */
export type FindingCase = {
  /** So many of `what` make it, and one less does not. */
  readonly least: number;
  /** Within so many seconds; `null` where one is enough. */
  readonly withinS: number | null;
  readonly what: string;
  /** Whose word it is. */
  readonly origin: string;
  readonly severity: string;
};

/**
 * The findings that are made of what is seen of a run. `driver-vm/unprivileged/findings.test.ts` makes each, and docs/evidence.md
 * is made from it. What a missed canary makes stands with the canaries.
 */
export const findingCases = {
  'bypass-burst': {
    ...{ least: 100, withinS: 10, what: 'refused packets, and no scan' },
    ...{ origin: 'the guest’s', severity: 'Medium' },
  },
  'network-scan': {
    ...{ least: 32, withinS: 60, what: 'destinations with port that were refused' },
    ...{ origin: 'the guest’s', severity: 'High' },
  },
  'metadata-access': {
    ...{ least: 3, withinS: 60, what: 'refused packets to a cloud’s metadata service' },
    ...{ origin: 'the guest’s', severity: 'High' },
  },
  'fence-bypassed': {
    ...{ least: 1, withinS: null, what: 'packet that the guest’s fence should have refused, and the host dropped' },
    ...{ origin: 'the host’s', severity: 'Critical' },
  },
  'ruleset-changed': {
    ...{
      least: 1,
      withinS: null,
      what: 'change of a ruleset, or of the log’s switch, by somebody else; a finding for each of them',
    },
    ...{
      origin: 'the host’s of the slot, the guest’s of all else',
      severity: 'High; Critical when it could not be put right',
    },
  },
  'log-forged': {
    ...{ least: 1, withinS: null, what: 'line of the kernel log that was made to look like the fence’s' },
    ...{ origin: 'the guest’s', severity: 'High' },
  },
} as const satisfies Readonly<Record<FindingKind, FindingCase>>;

/** The table of {@link findingCases}. */
export function renderFindings(): string {
  return renderTable(
    ['finding', 'when', 'whose word', 'severity'],
    Object.entries(findingCases).map(([kind, { least, withinS, what, origin, severity }]) => [
      code([kind]),
      `${least} ${what}${withinS === null ? '' : `, within ${withinS} s`}`,
      origin,
      severity,
    ]),
  );
}
