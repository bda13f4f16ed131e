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

/** Removes the rules of processes that are gone. Returns one of those that live, but for `self`, and one of those that are gone. */
export async function removeStaleRules(
  socket: AuditSocket,
  self?: number,
): Promise<{ readonly alive: Owner | undefined; readonly gone: Owner | undefined }> {
  let [alive, gone]: (Owner | undefined)[] = [];
  for (const rule of await socket.listRules()) {
    const owner = ownerOf(rule);
    if (owner === undefined || owner.pid === self) continue;
    if ((await startTimeOf(owner.pid)) === owner.start) {
      alive ??= owner;
    } else {
      gone ??= owner;
      await socket.deleteRule(rule).catch(ignoreGone);
    }
  }
  return { alive, gone };
}

/** Another start may have removed it at the same time. */
function ignoreGone(error: unknown): void {
  if (!(error instanceof AuditError) || error.code !== 'ENOENT') throw error;
}

/** Restores what was found, if no other process than `self` needs it. With an auditd that has come meanwhile it is left to that. */
export async function restoreSettings(socket: AuditSocket, found: Settings, self?: number): Promise<void> {
  if ((await removeStaleRules(socket, self)).alive !== undefined) return;
  const { pid, enabled } = await socket.status();
  if (pid === 0 && enabled !== 2) await socket.set(found);
}
