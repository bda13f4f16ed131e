import { isTapwardenError, type Run } from '../base/index.ts';
import type { Ruleset } from '../nft/index.ts';
import type { CompiledRulesets } from './shared/ipc.ts';

/** The rulesets that a guest loads: of its own network namespace, and of the workload's. */
export type GuestRulesets = { readonly guest: Ruleset; readonly fence: Ruleset };

/** What a guest's socket surely sends at once: one transaction is one message to the kernel. Some 400 direct rules are more. */
const maxBytes = 262_144;

/**
 * Compiles the guest's half of the fence while the guest boots. Where this returns `null` the guest makes it by itself: on a host
 * whose kernel or nft lacks what the guest's has, and with very many direct rules.
 *
 * @param folder where the files for nft are made. @default the system's folder for temporary files
 */
export async function compileFence(
  run: Run,
  { guest, fence }: GuestRulesets,
  folder?: string,
): Promise<CompiledRulesets | null> {
  // Two native modules, for which nobody waits while the guest boots.
  const { compileRulesets } = await import('../nft/compiled-ruleset.ts');
  try {
    const compiled = await compileRulesets({ run, ...(folder === undefined ? {} : { folder }) }, [guest, fence]);
    if (compiled.some(({ length }) => length > maxBytes)) return null;
    const [guestText = '', fenceText = ''] = compiled.map((messages) => messages.toString('base64'));
    return { guest: guestText, fence: fenceText };
  } catch (error) {
    if (!isTapwardenError(error)) throw error;
    return null;
  }
}
