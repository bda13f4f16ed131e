import { readFile } from 'node:fs/promises';
import { type Child, start } from '../../base/index.ts';
import { makeGuest } from './guest-variant.ts';
import { besideSupervisor, processesOfJail } from './jail-processes.ts';
import type { Bench, Running } from './sandbox-bench.ts';

/**
 * What root does beside the supervisor: shell, for dash and for busybox, in which `$fence` stands before a command to run it
 * in the workload's network namespace, `$home` is the workload's home, `$ip` is iproute2's, and `reader` prints the pid of the process that reads
 * the kernel log. It begins when the workload has made the file `begin` there.
 */
export type RootAttack = {
  readonly script: string;
  /** Words of `tapwarden run`, with the command. */
  readonly args: readonly string[];
  /** Of a guest: it begins before the supervisor does. @default false */
  readonly atOnce?: boolean;
};

const prologue = `
PATH=/usr/sbin:/usr/bin:/sbin:/bin
fence="nsenter --net=/run/netns/workload --"
home=/run/workload/root/home/workload
# Not the one that is built into a guest's shell.
ip=/usr/sbin/ip
[ -x "$ip" ] || ip=ip
reader() {
	for child in $(cat /proc/$supervisor/task/*/children); do
		[ "$(cat "/proc/$child/comm")" = cat ] && echo "$child"
	done
}
`;
const whenAsked = `
until [ -e "$home/begin" ]; do sleep 0.1; done
`;

/**
 * Starts a command with such an attack beside it: in a guest from its init, in a jail as the host's root from the namespaces
 * of the supervisor.
 */
export async function startBesideRoot(bench: Bench, { script, args, atOnce }: RootAttack): Promise<Running> {
  if (bench.boundary === 'jail') {
    const running = bench.start(args);
    const processes = await processesOfJail(running.pid);
    const attack = `${prologue}supervisor=${processes.supervisor}\n${whenAsked}${script}`;
    const attacker = start([...besideSupervisor(processes), 'sh', '-c', attack], {
      stdio: ['ignore', 'ignore', 'ignore'],
    });
    return { ...running, ended: endedWith(running, attacker) };
  }
  const init = await readFile('init/guest/init.sh', 'utf8');
  // The guest has one program of Node's.
  const attack = `${prologue}${atOnce === true ? '' : `${whenAsked}supervisor=$(pidof node)\n`}${script}`;
  const folder = await makeGuest(bench.folder, {
    programs: { '/usr/sbin/init': init.replace('\nenv -i ', `\n(\n${attack}\n) >/dev/null 2>&1 &\nenv -i `) },
  });
  return bench.start(args, { env: { TAPWARDEN_GUEST_DIR: folder } });
}

/** An attacker that waits for something that will not come any more ends with the run. */
async function endedWith(running: Running, attacker: Child): Promise<Awaited<Running['ended']>> {
  try {
    return await running.ended;
  } finally {
    attacker.process.kill('SIGKILL');
    await attacker.ended;
  }
}
