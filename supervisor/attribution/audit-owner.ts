import { startTimeOf } from '../../base/index.ts';
import { keyOf } from './audit-rule.ts';
import { AuditError, type AuditSettings, type AuditSocket } from './audit-socket.ts';

/** What one process changes of the machine's settings, and the last one restores. */
export type Settings = Required<AuditSettings>;

/**
 * A process that uses audit: its pid and when it began, which together name it for good, and what was found before the
 * first of those that use it at the time. All of that stands in the key of its rules, so the kernel keeps it for whoever
 * comes after a process that was killed.
 */
export type Owner = { readonly pid: number; readonly start: string; readonly found: Settings };

/** The key of an owner's rules. Example: `tapwarden.812.1864920.0.64.15000`. */
export function keyOfOwner({ pid, start, found }: Owner): string {
  return `tapwarden.${pid}.${start}.${found.enabled}.${found.backlogLimit}.${found.backlogWaitTime}`;
}

/** The owner of a rule; `undefined` where it is none of ours. */
export function ownerOf(rule: Buffer): Owner | undefined {
  const match = /^tapwarden\.(\d{1,10})\.(\d{1,20})\.([01])\.(\d{1,10})\.(\d{1,10})$/.exec(keyOf(rule) ?? '');
  if (match === null) return undefined;
  const [, pid, start = '', enabled, backlogLimit, backlogWaitTime] = match;
  const found = {
    enabled: Number(enabled),
    backlogLimit: Number(backlogLimit),
    backlogWaitTime: Number(backlogWaitTime),
  };
  return { pid: Number(pid), start, found };
}

/** What of an audit socket is needed to keep the machine's settings. */
type Control = Pick<AuditSocket, 'listRules' | 'deleteRule' | 'status' | 'set'>;

/** Whose rules stand: one of the owners that live, but for `self`, one of those that are gone, and the rules of these. */
export type Owners = {
  readonly alive: Owner | undefined;
  readonly gone: Owner | undefined;
  readonly stale: readonly Buffer[];
};

/** Reads whose rules stand. */
export async function readOwners(socket: Control, self?: number): Promise<Owners> {
  let [alive, gone]: (Owner | undefined)[] = [];
  const stale: Buffer[] = [];
  for (const rule of await socket.listRules()) {
    const owner = ownerOf(rule);
    if (owner === undefined || owner.pid === self) continue;
    if ((await startTimeOf(owner.pid)) === owner.start) {
      alive ??= owner;
    } else {
      gone ??= owner;
      stale.push(rule);
    }
  }
  return { alive, gone, stale };
}

/**
 * Removes the rules of processes that are gone. They tell what is to be restored, so this comes when that stands elsewhere: in the
 * settings, or in the rules of somebody who lives.
 */
export async function removeStale(socket: Control, { stale }: Owners): Promise<void> {
  for (const rule of stale) await socket.deleteRule(rule).catch(ignoreGone);
}

/** Another start may have removed it at the same time. */
function ignoreGone(error: unknown): void {
  if (!(error instanceof AuditError) || error.code !== 'ENOENT') throw error;
}

/**
 * Restores what was found, if no other process than `self` needs it, and removes the rules of those that are gone. With an auditd that
 * has come meanwhile the settings are left to that.
 */
export async function restoreSettings(socket: Control, found: Settings, self?: number): Promise<void> {
  const owners = await readOwners(socket, self);
  if (owners.alive === undefined) {
    const { pid, enabled } = await socket.status();
    if (pid === 0 && enabled !== 2) await socket.set(found);
  }
  await removeStale(socket, owners);
}
