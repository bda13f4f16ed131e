import { mkdir, readFile, rmdir } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ExecMarks } from '../../supervisor/fence.ts';

/** Cgroups of a test's own, one for each exec, as the supervisor makes them in a guest. */
export type ExecCgroups = {
  readonly marks: ExecMarks;
  /** Puts a command into the cgroup of an exec: `['sh', '-c', …]`. */
  readonly enter: (exec: number) => readonly string[];
  /** The directory of an exec's cgroup, and of one that has no mark. */
  readonly folderOf: (exec: number | 'unmarked') => string;
  readonly close: () => Promise<void>;
};

/** Makes cgroups for execs 1 to `count` below the root of cgroup v2, wherever that is mounted. */
export async function makeExecCgroups(count: number): Promise<ExecCgroups> {
  const mounts = (await readFile('/proc/mounts', 'utf8')).split('\n').map((line) => line.split(' '));
  const root = mounts.find(([, path, type]) => type === 'cgroup2' && path?.startsWith('/sys/fs/cgroup') === true)?.[1];
  if (root === undefined) throw new Error('There is no cgroup v2 below /sys/fs/cgroup');
  const folder = `${root}/tapwarden-test-${process.pid}-${Math.random().toString(36).slice(2, 8)}`;
  const execs = Array.from({ length: count }, (_, index) => index + 1);
  await mkdir(folder);
  const folderOf: ExecCgroups['folderOf'] = (exec) => `${folder}/exec-${exec}`;
  const folders = [...execs, 'unmarked' as const].map(folderOf);
  for (const path of folders) await mkdir(path);
  return {
    marks: {
      level: 2,
      cgroups: execs.map((mark) => ({ mark, cgroup: folderOf(mark).slice('/sys/fs/cgroup/'.length) })),
    },
    enter: (exec) => ['sh', '-c', 'echo 0 >"$0/cgroup.procs" && exec "$@"', folderOf(exec)],
    folderOf,
    close: async () => {
      for (const path of [...folders, folder]) await remove(path);
    },
  };
}

/** A cgroup whose last process has just ended may be busy for a moment. */
async function remove(path: string): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    try {
      return await rmdir(path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EBUSY') throw error;
      await sleep(10);
    }
  }
}
