import { withLock } from '../../base/index.ts';

/** The lock of this machine. In a jail, whose supervisor has another `/run`, the path leads by a process of the host. */
export const auditLockFile = '/run/tapwarden-audit.lock';

/** Others hold it for tens of milliseconds. */
const timeoutS = 10;

/**
 * Runs `body` while no other process of ours changes the audit system of the machine: what is found then is what is to be
 * restored, and nobody switches off what another one has just begun to need. Where there can be no lock it runs without.
 */
export async function withAuditLock<T>(path: string, body: () => Promise<T>): Promise<T> {
  let isHeld = false;
  const held = async (): Promise<T> => {
    isHeld = true;
    return await body();
  };
  try {
    return await withLock(path, { timeoutS }, held);
  } catch (error) {
    if (isHeld) throw error;
    return await body();
  }
}
