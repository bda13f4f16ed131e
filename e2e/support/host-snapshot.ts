import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { run } from '../../base/index.ts';

/** Uids of sandboxes, as driver-vm/sandbox-record.ts gives them out. */
const sandboxUids = { first: 1_900_000_000, last: 1_900_065_535 } as const;

const sysctls = ['net/ipv4/ip_forward', 'net/ipv6/conf/all/forwarding', 'net/netfilter/nf_log_all_netns'] as const;

/** What of the host a run could leave changed: one line for each thing. Example line: `link: eth0`. */
export type HostSnapshot = ReadonlySet<string>;

/** What {@link hostSnapshot} looks at beside the host as a whole. */
export type SnapshotOptions = {
  /** The run directory of this suite. */
  readonly runDir: string;
  /** Ids of the sandboxes that this suite made: those of somebody else on the same machine come and go as they like. */
  readonly isOurs: (sandbox: string) => boolean;
  /** The uids that this suite's sandboxes have. */
  readonly uids: { readonly first: number; readonly count: number };
};

/**
 * Takes down namespaces, links, nftables tables, the run directory, processes, cgroups, mounts and settings.
 * Source: ip-netns(8), proc_pid_status(5), proc_pid_mountinfo(5).
 */
export async function hostSnapshot(options: SnapshotOptions): Promise<HostSnapshot> {
  const lines = await Promise.all([
    namespaces(options),
    links(),
    tables(),
    runFolder(options),
    processes(options),
    cgroups(),
    mounts(options),
    settings(),
  ]);
  return new Set(lines.flat());
}

/**
 * What is there after a run that was not there before. What goes away within 10 s is not counted: kernel and other
 * programs of a shared machine take their time. Only additions are: what others took away is no leftover of ours.
 */
export async function leftoversSince(before: HostSnapshot, options: SnapshotOptions): Promise<readonly string[]> {
  const deadline = Date.now() + 10_000;
  for (;;) {
    const added = [...(await hostSnapshot(options))].filter((line) => !before.has(line));
    if (added.length === 0 || Date.now() > deadline) return added;
    await sleep(200);
  }
}

async function namespaces({ isOurs }: SnapshotOptions): Promise<readonly string[]> {
  const names = (await listFolder('/run/netns')).filter((name) => !name.startsWith('tw-') || isOurs(name.slice(3)));
  return names.map((name) => `network namespace: ${name}`);
}

async function links(): Promise<readonly string[]> {
  return (await listFolder('/sys/class/net')).map((name) => `link: ${name}`);
}

async function tables(): Promise<readonly string[]> {
  const { stdout } = await run(['nft', 'list', 'tables']);
  return stdout.split('\n').filter((line) => line !== '');
}

async function runFolder({ runDir }: SnapshotOptions): Promise<readonly string[]> {
  const names = await readdir(runDir, { recursive: true }).catch(() => undefined);
  return names === undefined ? [] : [runDir, ...names.map((name) => `${runDir}/${name}`)];
}

async function processes({ uids }: SnapshotOptions): Promise<readonly string[]> {
  const found = (await sandboxProcesses()).filter(({ uid }) => uid >= uids.first && uid < uids.first + uids.count);
  return found.map(({ pid, uid, name }) => `process: ${pid} ${name} of uid ${uid}`);
}

/** A process that runs as a user of a sandbox. */
export type SandboxProcess = {
  readonly pid: number;
  readonly uid: number;
  readonly name: string;
  /** The most memory that it has had in use, in KiB. */
  readonly peakKiB: number;
};

/** All living processes of the machine that run as a user of a sandbox. */
export async function sandboxProcesses(): Promise<readonly SandboxProcess[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const all = await Promise.all(
    pids.map(async (pid) => {
      const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
      const uid = Number(/^Uid:\t(\d+)/m.exec(status)?.[1] ?? -1);
      const living = !/^State:\t[ZX]/m.test(status);
      if (!living || uid < sandboxUids.first || uid > sandboxUids.last) return [];
      const name = /^Name:\t(.*)$/m.exec(status)?.[1] ?? '';
      const peakKiB = Number(/^VmHWM:\s*(\d+) kB/m.exec(status)?.[1] ?? 0);
      return [{ pid: Number(pid), uid, name, peakKiB }];
    }),
  );
  return all.flat();
}

async function cgroups(): Promise<readonly string[]> {
  const { stdout } = await run(['find', '/sys/fs/cgroup', '-type', 'd', '-name', '*tapwarden*'], {
    okStatuses: [0, 1],
  });
  return stdout.split('\n').filter((line) => line !== '');
}

/**
 * Mount points, without those of other people's namespaces and of an image that somebody is building; /run/netns itself
 * is iproute2's, and stays.
 */
async function mounts({ isOurs }: SnapshotOptions): Promise<readonly string[]> {
  const text = await readFile('/proc/self/mountinfo', 'utf8');
  return text
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .filter((path) => path !== '' && path !== '/run/netns' && !path.includes('/.building-'))
    .filter((path) => !path.startsWith('/run/netns/tw-') || isOurs(path.slice('/run/netns/tw-'.length)))
    .map((path) => `mount: ${path}`);
}

async function settings(): Promise<readonly string[]> {
  return await Promise.all(
    sysctls.map(async (name) => {
      const value = await readFile(`/proc/sys/${name}`, 'utf8').catch(() => 'absent');
      return `setting: ${name} = ${value.trim()}`;
    }),
  );
}

async function listFolder(path: string): Promise<readonly string[]> {
  return await readdir(path).catch(() => []);
}
