import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { startTimeOf, withLock } from '../../base/index.ts';
import type { AuditSettings, AuditSocket } from './audit-socket.ts';

/** A process that uses audit: its pid and when it began, which together name it for good. */
export type Owner = { readonly pid: number; readonly start: string };
/** What one process changes, and the last one restores. */
export type Settings = Required<AuditSettings>;

type State = { readonly found: Settings; readonly owners: readonly Owner[] };

/** Whether a process runs still. */
export async function isAlive({ pid, start }: Owner): Promise<boolean> {
  return (await startTimeOf(pid)) === start;
}

/**
 * Changes the settings of the machine, as one of perhaps several processes that need them. What was found is written down
 * in `folder` first; without one nobody restores it after a kill.
 */
export async function enterAudit(
  folder: string | undefined,
  owner: Owner,
  found: Settings,
  change: () => Promise<void>,
): Promise<void> {
  if (folder === undefined) return await change();
  await withState(folder, async (state, write) => {
    // What was found first is what is restored last.
    await write({ found: state?.found ?? pickSettings(found), owners: [...(state?.owners ?? []), owner] });
    await change();
  });
}

/**
 * Restores the settings when the last one leaves; those that were killed count as gone. With an auditd that has come
 * meanwhile they are left to that.
 */
export async function leaveAudit(
  socket: AuditSocket,
  folder: string | undefined,
  owner: Owner | undefined,
  found: Settings | undefined,
): Promise<void> {
  if (folder === undefined) {
    if (found !== undefined) await restore(socket, found);
    return;
  }
  await withState(folder, async (state, write) => {
    if (state === undefined) return;
    const owners = state.owners.filter(({ pid, start }) => pid !== owner?.pid || start !== owner.start);
    if (owners.length > 0) return await write({ ...state, owners });
    await restore(socket, state.found);
    await write(undefined);
  });
}

async function restore(socket: AuditSocket, settings: Settings): Promise<void> {
  const { pid, enabled } = await socket.status();
  if (pid === 0 && enabled !== 2) await socket.set(pickSettings(settings));
}

function pickSettings({ enabled, backlogLimit, backlogWaitTime }: Settings): Settings {
  return { enabled, backlogLimit, backlogWaitTime };
}

/** Gives `body` the state without those of its owners that are gone, and a way to write another; none is no file. */
async function withState(
  folder: string,
  body: (state: State | undefined, write: (state: State | undefined) => Promise<void>) => Promise<void>,
): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const file = join(folder, 'audit.json');
  await withLock(join(folder, 'audit.lock'), {}, async () => {
    const text = await readFile(file, 'utf8').catch(() => undefined);
    const read = text === undefined ? undefined : (JSON.parse(text) as State);
    const alive = await Promise.all((read?.owners ?? []).map(async (owner) => ((await isAlive(owner)) ? [owner] : [])));
    await body(read === undefined ? undefined : { ...read, owners: alive.flat() }, async (state) => {
      if (state === undefined) return await rm(file, { force: true });
      await writeFile(`${file}.new`, JSON.stringify(state), { mode: 0o600 });
      await rename(`${file}.new`, file);
    });
  });
}
