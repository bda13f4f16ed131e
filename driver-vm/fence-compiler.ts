import { isTapwardenError, type Run } from '../base/index.ts';
import type { DirectDestination } from '../nft/index.ts';
import { fenceRuleset, guestExecMarks, guestRuleset } from '../supervisor/index.ts';

/** The guest's rulesets as they go over the channel: see `configure` in channel/messages.ts. */
export type CompiledRulesets = { readonly guest: string; readonly fence: string };

/** What {@link compileFence} works from. */
export type FenceToCompile = {
  readonly tag: string;
  readonly direct: readonly DirectDestination[];
  /** Where the files for nft are made. @default the system's folder for temporary files */
  readonly folder?: string;
};

/** What a guest's socket surely sends at once: one transaction is one message to the kernel. Some 400 direct rules are more. */
const maxBytes = 262_144;

/**
 * Compiles the guest's half of the fence while the guest boots. Where this returns `null` the guest makes it by itself: on a host
 * whose kernel or nft lacks what the guest's has, and with very many direct rules. Cgroups are of the guest alone, so the marks of
 * execs are not in it.
 */
export async function compileFence(
  run: Run,
  { tag, direct, folder }: FenceToCompile,
): Promise<CompiledRulesets | null> {
  // Two native modules, for which nobody waits while the guest boots.
  const { compileRulesets } = await import('../nft/compiled-ruleset.ts');
  const execs = { level: guestExecMarks.level, cgroups: [] };
  const fence = fenceRuleset({ tag, direct, log: true, account: true, execs, generation: 'a' });
  try {
    const compiled = await compileRulesets({ run, ...(folder === undefined ? {} : { folder }) }, [
      guestRuleset(direct),
      fence,
    ]);
    if (compiled.some(({ length }) => length > maxBytes)) return null;
    const [guestText = '', fenceText = ''] = compiled.map((messages) => messages.toString('base64'));
    return { guest: guestText, fence: fenceText };
  } catch (error) {
    if (!isTapwardenError(error)) throw error;
    return null;
  }
}
