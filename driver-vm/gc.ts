import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type Run, UndoStack, withLock } from '../base/index.ts';
import { removeUplinks } from './direct/uplink.ts';
import { handOverSuffix, removeHandOver } from './events-file.ts';
import { removeCgroups } from './jail/cgroup.ts';
import { collectLogSwitch } from './jail/log-switch.ts';
import { lockFile, type Paths } from './paths.ts';
import { endProcessesOf } from './processes.ts';
import { isOwned, listSandboxes, releaseSandbox, sandboxFolder, sandboxIdPattern, usersOf } from './sandbox-record.ts';
import { deleteSlot } from './slot.ts';

/** What was left over and is gone, and what is alive and stays; sandbox ids. */
export type Collected = { readonly removed: readonly string[]; readonly alive: readonly string[] };

/**
 * Takes away what sandboxes left behind whose process is gone, as after a `kill -9`: processes, namespaces with their
 * TAPs and tables, uplinks, with the last of these the host's table and forwarding, files, and what event logs of the
 * state directory were to be continued through. Sandboxes whose process
 * lives are left alone.
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
      // Whatever else stands in the run directory is not ours to remove.
      if (record === undefined && !isClaim(paths, name)) continue;
      removed.push(name);
      undo.push(`take ${name} away`, async () => {
        // In this order: what could not be taken away keeps its record, and is found again.
        if (record !== undefined) await endProcessesOf(usersOf(record.index));
        if (sandboxIdPattern.test(name)) {
          await removeCgroups(name);
          await deleteSlot(run, name);
        }
        await releaseSandbox(paths, name);
      });
      if (record !== undefined) gone.push(record.index);
    }
    undo.push('take hand-over folders of event logs away', async () => await removeHandOvers(paths));
    undo.push('let the log switch go', async () => await collectLogSwitch());
    undo.push('take uplinks away', async () => await removeUplinks(run, paths, gone));
    await undo.unwind();
    return { removed, alive };
  });
}

/** Those that nobody holds, of logs in the state directory. Elsewhere the next run with the log does it. */
async function removeHandOvers({ stateDir }: Paths): Promise<void> {
  const folder = join(stateDir, 'events');
  const names = existsSync(folder) ? await readdir(folder) : [];
  for (const name of names.filter((found) => found.endsWith(handOverSuffix))) {
    await removeHandOver(join(folder, name.slice(0, -handOverSuffix.length)));
  }
}

/** Whether a folder without a readable record is one of ours: a claim that was cut off, or one with a broken record. */
function isClaim(paths: Paths, name: string): boolean {
  if (/^\.new-\d+$/.test(name)) return true;
  return sandboxIdPattern.test(name) && existsSync(join(sandboxFolder(paths, name), 'record.json'));
}
