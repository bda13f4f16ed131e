import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { TapwardenError } from '../base/index.ts';

/** The users of one sandbox. No process of another sandbox or of the host runs as either of them. */
export type SandboxUsers = { readonly vmm: number; readonly channel: number };

/** Whether any process runs as one of a sandbox's users. */
export function hasProcesses(users: SandboxUsers): boolean {
  return processesOf(users).length > 0;
}

/**
 * Ends every process that runs as one of a sandbox's users. Nobody else has these uids, so a process is known by its
 * user, where a pid could have been given away again.
 *
 * @throws VMM_FAILED when one does not end within 5 s
 */
export async function endProcessesOf(users: SandboxUsers): Promise<void> {
  const deadline = Date.now() + 5000;
  for (;;) {
    const pids = processesOf(users);
    if (pids.length === 0) return;
    for (const pid of pids) kill(pid);
    if (Date.now() > deadline) {
      throw new TapwardenError('VMM_FAILED', { message: `Processes ${pids.join(', ')} do not end`, details: { pids } });
    }
    await sleep(20);
  }
}

/**
 * The pids of the living processes of a sandbox's users. Read at once and not by promises, which for so many small files take
 * ten times as long. Source: proc_pid_status(5), State and Uid.
 */
function processesOf(users: SandboxUsers): readonly number[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.map(Number).filter((pid) => {
    const status = statusOf(pid);
    const uid = Number(/^Uid:\t(\d+)/m.exec(status)?.[1] ?? -1);
    const living = !/^State:\t[ZX]/m.test(status);
    return living && (uid === users.vmm || uid === users.channel);
  });
}

function statusOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/status`, 'utf8');
  } catch {
    // It has just ended.
    return '';
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has just ended.
  }
}
