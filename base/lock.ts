import { mkdir, open, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { TapwardenError } from './errors.ts';
import { start } from './runner.ts';

/** How long to wait for a lock, and what to say meanwhile. */
export type LockOptions = {
  /** Seconds until giving up. @default 60 */
  readonly timeoutS?: number;
  /** Called once when another process holds the lock, before waiting for it. */
  readonly onWait?: () => void;
};

/**
 * Runs `body` while this process alone holds the lock file `path`, which stays in place afterwards.
 *
 * The lock is the kernel's: it belongs to the open file, so it ends with this process however that ends. `flock` takes
 * it on the descriptor that it inherits, and leaves it with us when it exits. Source: flock(1), flock(2).
 *
 * @throws LOCK_TIMEOUT when another process holds the lock for longer than `timeoutS`
 * @throws PROGRAM_MISSING when util-linux's `flock` is not installed
 */
export async function withLock<T>(path: string, options: LockOptions, body: () => Promise<T>): Promise<T> {
  await mkdir(dirname(path), { recursive: true });
  const file = await open(path, 'a', 0o600);
  try {
    if (!(await takeLock(file.fd, ['-n']))) {
      options.onWait?.();
      const timeoutS = options.timeoutS ?? 60;
      if (!(await takeLock(file.fd, ['-w', String(timeoutS)]))) {
        throw new TapwardenError('LOCK_TIMEOUT', {
          message: `The lock ${path} was held by another process for more than ${timeoutS} s`,
          hint: `Wait for that process, or end it ('fuser ${path}' names it).`,
          details: { path, timeoutS },
        });
      }
    }
    return await body();
  } finally {
    await file.close();
  }
}

async function takeLock(fd: number, how: readonly string[]): Promise<boolean> {
  const ended = await start(['flock', '-x', ...how, '3'], { stdio: ['ignore', 'ignore', 'ignore', fd] }).ended;
  if (ended.status === 0) return true;
  if (ended.status === 1) return false;
  throw new TapwardenError('PROGRAM_MISSING', {
    message: `'flock' could not be run: ${ended.error?.message ?? `status ${String(ended.status)}`}`,
    hint: 'Install the package util-linux.',
    cause: ended.error,
  });
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
