import type { Run, UndoStack } from '../../base/index.ts';
import { link } from '../../init/index.ts';
import { makeNamespace, type Slot } from '../slot.ts';

/**
 * Makes the slot of a jail: the namespace in which the supervisor runs, as it does in a guest's own. It has no TAP: the
 * gateway's address is on `lo`, where the supervisor's proxy reaches it. What the workload may reach there, the supervisor's
 * own table says.
 *
 * @throws SLOT_FAILED when a step fails, with the step
 * @throws SANDBOX_EXISTS when the namespace is there already
 */
export async function makeJailSlot(run: Run, options: { readonly id: string }, undo: UndoStack): Promise<Slot> {
  const batch = ['link set lo up', `address add ${link.hostIpv4}/32 dev lo`];
  return await makeNamespace(run, { id: options.id, withIp6: true, batch }, undo);
}
