import { isTapwardenError, type Run } from '../base/index.ts';
import type { DirectDestination } from '../nft/index.ts';
import { fenceRuleset, guestExecMarks, guestRuleset } from '../supervisor/index.ts';

/** The guest's rulesets as they go over the channel: see `configure` in channel/messages.ts. */
export type CompiledRulesets = { readonly guest: string; readonly fence: string };

/**
 * Compiles the guest's half of the fence while the guest boots, as the guest makes it by itself where this returns `null`: on
 * a host whose kernel or nft lacks what the guest's has. Cgroups are of the guest alone, so the marks of execs are not in it.
 */
export async function compileFence(
  run: Run,
  { tag, direct }: { readonly tag: string; readonly direct: readonly DirectDestination[] },
): Promise<CompiledRulesets | null> {
  // Two native modules, for which nobody waits while the guest boots.
  const { compileRulesets } = await import('../nft/compiled-ruleset.ts');
  const execs = { level: guestExecMarks.level, cgroups: [] };
  const fence = fenceRuleset({ tag, direct, log: true, account: true, execs, generation: 'a' });
  try {
    const compiled = await compileRulesets(run, [guestRuleset(direct), fence]);
    const [guestText = '', fenceText = ''] = compiled.map((messages) => messages.toString('base64'));
    return { guest: guestText, fence: fenceText };
  } catch (error) {
    if (!isTapwardenError(error)) throw error;
    return null;
  }
}
