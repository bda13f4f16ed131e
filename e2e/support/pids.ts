import { readdirSync, readFileSync } from 'node:fs';

/** The pids of all processes of a user, by their real uid. Source: proc_pid_status(5). */
export function pidsOf(uid: number): readonly number[] {
  return readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      return readFileSync(`/proc/${name}/status`, 'utf8').includes(`\nUid:\t${uid}\t`) ? [Number(name)] : [];
    } catch {
      // It has just ended.
      return [];
    }
  });
}
