import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Run, UndoStack, withLock } from '../base/index.ts';
import { removeUplinks } from './direct/uplink.ts';
import { lockFile, type Paths } from './paths.ts';
import { endProcessesOf } from './processes.ts';
import { isOwned, listSandboxes, releaseSandbox, usersOf } from './sandbox-record.ts';
import { deleteSlot } from './slot.ts';

/** What was left over and is gone, and what is alive and stays; sandbox ids. */
export type Collected = { readonly removed: readonly string[]; readonly alive: readonly string[] };

/**
 * Takes away what sandboxes left behind whose process is gone, as after a `kill -9`: processes, namespaces with their
 * TAPs and tables, uplinks, with the last of these the host's table and forwarding, and files. Sandboxes whose process lives are left alone.
 *
 * @throws AggregateError when a step failed; the others were carried out
 */
export async function collectGarbage(paths: Paths, run: Run): Promise<Collected> {
  return await withLock(lockFile(paths), {}, async () => {
    const removed: string[] = [];
    const alive: string[] = [];
    const gone: number[] = [];
    const undo = new UndoStack();
    for (const { name, record } of await listSandboxes(paths)) {
      if (record !== undefined && (await isOwned(record))) {
        alive.push(record.id);
        continue;
      }
      removed.push(name);
      if (record === undefined) {
        // A claim that was cut off before its record: nothing of it can exist but this folder.
        undo.push(`remove ${name}`, async () => await rm(join(paths.runDir, name), { recursive: true, force: true }));
        continue;
      }
      undo.push(`remove the folder of ${record.id}`, async () => await releaseSandbox(paths, record.id));
      undo.push(`delete the slot of ${record.id}`, async () => await deleteSlot(run, record.id));
      undo.push(`end the processes of ${record.id}`, async () => await endProcessesOf(usersOf(record.index)));
      gone.push(record.index);
    }
    undo.push('take uplinks away', async () => await removeUplinks(run, paths, gone));
    await undo.unwind();
    return { removed, alive };
  });
}
