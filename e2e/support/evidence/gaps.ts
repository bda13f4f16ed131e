import { renderTable } from '../generated-part.ts';

/**
 * What can happen to the reading of the kernel log. `e2e/bypass-detection/log-gaps.ts` makes each happen, and
 * docs/evidence.md is made from it.
 */
export const logGaps = {
  overwritten: {
    what: 'the kernel overwrote records before they were read',
    event: '`telemetry-gap` (1008) with their number and the first and last of them',
    known: 'all counts; packets whose lines were lost come as aggregates',
  },
  ended: {
    what: 'the reader of the log ended: an overrun, or somebody killed it',
    event: '`log-reader-restarted` (1008, Restart) with the records before and after and how long nobody read',
    known: 'as above; the next reader goes on where it stopped',
  },
  stalled: {
    what: 'the reader stands still',
    event: 'noticed when a marker does not come back for 3 s: it is ended, and another one starts',
    known: 'as above',
  },
} as const;

/** The table of {@link logGaps}. */
export function renderGaps(): string {
  return renderTable(
    ['what happens', 'event', 'what is still known'],
    Object.values(logGaps).map(({ what, event, known }) => [what, event, known]),
  );
}
