import type { DirectDestination, Ruleset } from '../nft/index.ts';
import { guestExecMarks } from './exec-marks.ts';
import { fenceRuleset } from './fence.ts';
import { guestRuleset } from './guest-table.ts';

/**
 * The rulesets that a guest loads, for its host to compile: that of its own network namespace, and that of the workload's. They are
 * whole, but for the marks of execs, whose cgroups are of the guest alone.
 *
 * @param tag the run's secret in the log prefix
 */
export function fenceRulesets(
  tag: string,
  direct: readonly DirectDestination[],
): { readonly guest: Ruleset; readonly fence: Ruleset } {
  const execs = { level: guestExecMarks.level, cgroups: [] };
  return {
    guest: guestRuleset(direct),
    fence: fenceRuleset({ tag, direct, log: true, account: true, execs, generation: 'a' }),
  };
}
