import type { CanaryLink } from '../../../ocsf/canary-missed.ts';
import { code, renderTable } from '../generated-part.ts';

/**
 * The links on the way of a canary, in the order in which a refused packet passes them, and what is seen where one breaks.
 * `supervisor/canaries.kernel.test.ts` breaks each, and docs/evidence.md is made from it.
 */
export const canaryLinks = {
  sent: "the supervisor cannot send from the workload's namespace: it is gone, or cannot be entered",
  refused: 'the sender got no refusal: something lets packets out',
  logged: 'the packet was refused and left no line',
  read: 'the kernel log cannot be read to its end',
  reported: 'the host hears nothing: no round for an interval and 5 s (20 s of an emulated guest)',
} as const satisfies Readonly<Record<CanaryLink, string>>;

/** The table of {@link canaryLinks}. */
export function renderLinks(): string {
  return renderTable(
    ['link', 'what is seen'],
    Object.entries(canaryLinks).map(([link, seen]) => [code([link]), seen]),
  );
}
