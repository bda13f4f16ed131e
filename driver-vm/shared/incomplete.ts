/** Why a run's record may not tell of every attempt. docs/evidence.md says what is still exact with each. */
export const incompleteCodes = [
  'log-gap',
  'log-unread',
  'unlogged',
  'overflow',
  'event-budget',
  'canary',
  'unwritten',
  'bypassed',
  'audit-loss',
  'unknown',
  'no-record',
] as const;

/** One of {@link incompleteCodes}. */
export type IncompleteCode = (typeof incompleteCodes)[number];

/** A reason as it stands in the record. Example: `'overflow: 9 packets found no place in the sets …'`. */
export function incompleteReason(code: IncompleteCode, what: string): string {
  return `${code}: ${what}`;
}
