import { mkdir, open, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { TapwardenError } from './errors.ts';
import { loadFlock } from './flock.ts';

/** How long to wait for a lock, and what to say meanwhile. */
export type LockOptions = {
  /** Seconds until giving up. @default 60 */
  readonly timeoutS?: number;
  /** Called once when another process holds the lock, before waiting for it. */
  readonly onWait?: () => void;
};

/** Milliseconds between two attempts to take a lock that another process holds. */
const pauseMs = 20;

/**
 * Runs `body` while this process alone holds the lock file `path`, which stays in place afterwards.
 *
 * The lock is the kernel's: it belongs to the open file, so it ends with this process however that ends.
 *
 * @throws LOCK_TIMEOUT when another process holds the lock for longer than `timeoutS`
 */
export async function withLock<T>(path: string, options: LockOptions, body: () => Promise<T>): Promise<T> {
  await mkdir(dirname(path), { recursive: true });
  const file = await open(path, 'a', 0o600);
  try {
    const flock = await loadFlock();
    const timeoutS = options.timeoutS ?? 60;
    const deadline = Date.now() + 1000 * timeoutS;
    for (let attempt = 1; !flock(file.fd); attempt += 1) {
      if (attempt === 1) options.onWait?.();
      if (Date.now() >= deadline) {
        throw new TapwardenError('LOCK_TIMEOUT', {
          message: `The lock ${path} was held by another process for more than ${timeoutS} s`,
          hint: `Wait for that process, or end it ('fuser ${path}' names it).`,
          details: { path, timeoutS },
        });
      }
      await sleep(pauseMs);
    }
    return await body();
  } finally {
    await file.close();
  }
}

/**
 * When the process began, in clock ticks since boot, as text; `undefined` when it is not there or is a zombie. Together
 * with the pid it names a process for good, which the pid alone does not.
 * Source: proc_pid_stat(5), fields 3 and 22.
 */
export async function startTimeOf(pid: number): Promise<string | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  if (stat === undefined) return undefined;
  // The second field is the name in parentheses and may itself hold spaces and parentheses.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19];
}
