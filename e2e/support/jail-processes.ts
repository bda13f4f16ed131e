import { readdir, readFile } from 'node:fs/promises';
import { until } from './until.ts';

/** The processes of one run of a jail, as the host sees them. */
export type JailProcesses = {
  /** Root on the host, in the slot and a mount namespace of its own. */
  readonly supervisor: number;
  /** Without privilege: it writes the record. */
  readonly channel: number;
  /** The reader of the kernel log that the supervisor has now. */
  readonly reader: () => Promise<number>;
};

/** Waits until the supervisor of a run stands, and answers with the run's processes. `pid` is tapwarden's own. */
export async function processesOfJail(pid: number): Promise<JailProcesses> {
  const supervisor = await childOf(pid, isProgram(/\/supervisor\.cjs$/));
  return {
    supervisor,
    channel: await childOf(pid, isProgram(/\/unprivileged\/main\.cjs$/)),
    reader: async () => await childOf(supervisor, (argv) => argv[0] === 'cat'),
  };
}

/** A command line prefix that stands in a jail supervisor's mount and network namespaces. */
export function besideSupervisor({ supervisor }: JailProcesses): readonly ['nsenter', ...string[]] {
  return ['nsenter', `--target=${supervisor}`, '--mount', '--net'];
}

/** Whether a command line is that of Node with a program of ours; before that other programs stand in its place. */
function isProgram(name: RegExp): (argv: readonly string[]) => boolean {
  return ([first = '', ...words]) => first.endsWith('/node') && words.some((word) => name.test(word));
}

/** The child of a process with such a command line; waits for it. */
async function childOf(parent: number, isWanted: (argv: readonly string[]) => boolean): Promise<number> {
  let found: number | undefined;
  await until(async () => {
    for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
      const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
      if (!status.includes(`\nPPid:\t${parent}\n`)) continue;
      const line = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
      if (isWanted(line.split('\0').slice(0, -1))) found = Number(pid);
    }
    return found !== undefined;
  });
  if (found === undefined) throw new Error(`process ${parent} has no such child`);
  return found;
}
