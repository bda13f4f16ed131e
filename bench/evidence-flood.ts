import { createReadStream } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { programText, remainingLines, runInSandbox } from './sandbox.ts';

/** What a flood of refused packets came to. Rates are packets a second. */
export type Flood = {
  readonly offered: number;
  readonly achieved: number;
  readonly refused: number;
  /** The packets that events tell of, by their `count`, to those that were refused by the sender's own count. */
  readonly accountedRatio: number;
  readonly events: number;
  /** Processor time of the supervisor to the time of the flood, and the most memory that it ever had. */
  readonly supervisorCores: number;
  readonly supervisorMiB: number;
};

/** What a flood is made of. */
export type FloodSpec = { readonly rate: number; readonly seconds: number; readonly ports: number };

/** Offers a flood in a jail, and compares what was sent with what the log tells of. */
export async function measureFlood({ rate, seconds, ports }: FloodSpec, folder: string): Promise<Flood> {
  const numbers = [rate, seconds, ports].map(String);
  const running = runInSandbox(
    'jail',
    ['perl', '-e', await programText('flood.pl'), '--', ...numbers],
    folder,
    'flood',
  );
  const watched = watchSupervisor(running.child.process.pid ?? 0);
  const [line = ''] = await remainingLines(running);
  await running.end();
  const { cpuMs, lifeMs, rssMiB } = await watched.end();
  const { offered, sent, refused, tookMs } = readFlood(line);
  const told = await countRefused(running.eventsFile);
  return {
    offered: offered / seconds,
    achieved: (sent / tookMs) * 1000,
    refused,
    accountedRatio: told.packets / refused,
    events: told.events,
    supervisorCores: cpuMs / lifeMs,
    supervisorMiB: rssMiB,
  };
}

/** Reads what `flood.pl` says. */
export function readFlood(line: string): Readonly<Record<'offered' | 'sent' | 'refused' | 'tookMs', number>> {
  const [offered, sent, refused, tookMs] = line.split(' ').map(Number);
  if (offered === undefined || sent === undefined || refused === undefined || tookMs === undefined) {
    throw new Error(`The flood did not say what it sent: '${line.slice(0, 80)}'`);
  }
  return { offered, sent, refused, tookMs };
}

/** The packets that Network Activity of the fence tells of, and in how many events. */
async function countRefused(path: string): Promise<{ readonly packets: number; readonly events: number }> {
  let [packets, events] = [0, 0];
  for await (const line of createInterface({ input: createReadStream(path) })) {
    if (!line.includes('"class_uid":4001')) continue;
    const event = JSON.parse(line) as { readonly activity_id: number; readonly count?: number };
    if (event.activity_id !== 5) continue;
    packets += event.count ?? 1;
    events += 1;
  }
  return { packets, events };
}

const ticksMs = 10;

/** Looks at the supervisor of a jail ten times a second until the jail has ended. Source: proc_pid_stat(5). */
function watchSupervisor(parent: number): {
  readonly end: () => Promise<{ cpuMs: number; lifeMs: number; rssMiB: number }>;
} {
  const seen = { pid: 0, cpuMs: 0, lifeMs: 0, rssMiB: 0, stopped: false };
  const begun = performance.now();
  const watching = (async () => {
    while (!seen.stopped) {
      if (seen.pid === 0) seen.pid = (await findSupervisor(parent)) ?? 0;
      const [stat, status] = await Promise.all(
        ['stat', 'status'].map((name) => readIfThere(`/proc/${seen.pid}/${name}`)),
      );
      const fields = (stat ?? '').slice((stat ?? '').lastIndexOf(')') + 2).split(' ');
      const cpuMs = (Number(fields[11]) + Number(fields[12])) * ticksMs;
      if (cpuMs > 0) Object.assign(seen, { cpuMs, lifeMs: performance.now() - begun });
      seen.rssMiB = Math.max(seen.rssMiB, Number(/^VmHWM:\s+(\d+) kB$/m.exec(status ?? '')?.[1] ?? 0) / 1024);
      await sleep(100);
    }
  })();
  return {
    end: async () => {
      seen.stopped = true;
      await watching;
      if (seen.pid === 0) throw new Error('The supervisor of the jail was not found');
      return seen;
    },
  };
}

/** The process below `parent` that runs the supervisor's program. */
async function findSupervisor(parent: number): Promise<number | undefined> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const parents = new Map<number, number>();
  const candidates: number[] = [];
  for (const pid of pids) {
    const [stat, commandLine] = await Promise.all(
      ['stat', 'cmdline'].map((name) => readIfThere(`/proc/${pid}/${name}`)),
    );
    if (stat === undefined) continue;
    parents.set(Number(pid), Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]));
    const [program = '', , script = ''] = (commandLine ?? '').split('\0');
    if (program.endsWith('/node') && script.endsWith('/supervisor.cjs')) candidates.push(Number(pid));
  }
  return candidates.find((pid) => {
    for (let at: number | undefined = pid; at !== undefined && at > 1; at = parents.get(at))
      if (at === parent) return true;
    return false;
  });
}

async function readIfThere(path: string): Promise<string | undefined> {
  return await readFile(path, 'utf8').catch(() => undefined);
}
