import { inNetworkNamespace, isTapwardenError } from '../base/index.ts';
import { type CompiledRuleset, loadCompiled } from '../nft/compiled-ruleset.ts';
import { NfnetlinkSocket } from '../nft/nfnetlink-socket.ts';
import { markElement } from './exec-marks.ts';
import { type ExecMarks, execsMap } from './fence.ts';
import { fenceTable } from './fence-table.ts';

/** Both halves of the guest's fence as the host compiled them: the whole of it, but for the marks of execs. */
export type CompiledFence = { readonly guest: CompiledRuleset; readonly fence: CompiledRuleset };

/**
 * Loads the fence without nft. Returns whether the kernel took it; where it did not, no packet has passed yet, and half of it
 * may stand.
 *
 * Not imported where the supervisor starts: it loads two native modules.
 *
 * @param namespaces where the workload's network namespace is bound, and the guest's own. @default for that, ours
 */
export async function loadCompiledFence(
  { guest, fence }: CompiledFence,
  { cgroups }: ExecMarks,
  namespaces: { readonly workload: string; readonly own?: string },
): Promise<boolean> {
  const elements = cgroups.map(markElement);
  const socketIn = async (path: string) => await inNetworkNamespace(path, () => new NfnetlinkSocket());
  const own = await socketIn(namespaces.own ?? '/proc/self/ns/net');
  const inside = await socketIn(namespaces.workload);
  try {
    await loadCompiled(own, guest);
    await loadCompiled(inside, fence, { table: fenceTable, set: execsMap, elements });
    return true;
  } catch (error) {
    if (isTapwardenError(error, 'NFT_REJECTED')) return false;
    throw error;
  } finally {
    own.close();
    inside.close();
  }
}
