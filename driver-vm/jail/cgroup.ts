import { mkdir, readdir, readFile, rmdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { errnoOf, TapwardenError, type UndoStack } from '../../base/index.ts';

/** What a jail may use of the host. */
export type JailLimits = { readonly cpus: number; readonly memoryMiB: number };

/** The cgroups of a jail. */
export type JailCgroup = {
  /** That of the sandbox, from the root of cgroup v2 on. Example: `/tapwarden-a`. */
  readonly path: string;
  /** Files in which whoever starts the supervisor writes its pid. */
  readonly joins: readonly string[];
  /** Controllers that the host has neither in cgroup v2 nor in v1, and whose limits are not kept. */
  readonly missing: readonly Controller[];
};

/** A controller that keeps a limit. */
export type Controller = 'cpu' | 'memory' | 'pids';

const controllers: readonly Controller[] = ['cpu', 'memory', 'pids'];
const periodUs = 100_000;
const maxProcesses = 4096;

/** The hierarchies that the host has mounted. */
type Hierarchies = { readonly v2: string | undefined; readonly v1: ReadonlyMap<string, string> };

/** The name of a sandbox's cgroups, in each hierarchy. */
const nameOf = (id: string): string => `tapwarden-${id}`;

/**
 * Makes the cgroups of a jail, with its limits: one in cgroup v2, in which each exec gets one of its own, and where the host
 * keeps a controller in v1 still, one there. Source: Documentation/admin-guide/cgroup-v2.rst and cgroup-v1.
 *
 * @throws JAIL_UNSUPPORTED when the host has no cgroup v2
 */
export async function makeCgroups(id: string, limits: JailLimits, undo: UndoStack): Promise<JailCgroup> {
  const { v2, v1 } = await readHierarchies();
  if (v2 === undefined) {
    throw new TapwardenError('JAIL_UNSUPPORTED', {
      message: 'No cgroup v2 is mounted, in which each command of a jail gets a place of its own',
      hint: 'Mount it: mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified.',
    });
  }
  const folder = join(v2, nameOf(id));
  undo.push(`remove the cgroups ${nameOf(id)}`, async () => await removeCgroups(id));
  await mkdir(join(folder, 'supervisor'), { recursive: true });
  const joins = [join(folder, 'supervisor', 'cgroup.procs')];
  const missing: Controller[] = [];
  for (const controller of controllers) {
    const settings = settingsOf(controller, limits);
    const old = v1.get(controller);
    if (await exists(join(folder, settings.v2.file)))
      await writeFile(join(folder, settings.v2.file), settings.v2.value);
    else if (old === undefined) missing.push(controller);
    else {
      await mkdir(join(old, nameOf(id)), { recursive: true });
      await writeFile(join(old, nameOf(id), settings.v1.file), settings.v1.value);
      joins.push(join(old, nameOf(id), 'cgroup.procs'));
    }
  }
  return { path: `/${nameOf(id)}`, joins, missing };
}

/** What the host has of cgroups: whether v2 is mounted, and the controllers that {@link makeCgroups} would find nowhere. */
export async function readCgroupSupport(): Promise<{ readonly v2: boolean; readonly missing: readonly Controller[] }> {
  const { v2, v1 } = await readHierarchies();
  const enabled = v2 === undefined ? '' : await readFile(join(v2, 'cgroup.subtree_control'), 'utf8').catch(() => '');
  const missing = controllers.filter((name) => !v1.has(name) && !enabled.split(/\s+/).includes(name));
  return { v2: v2 !== undefined, missing };
}

/**
 * Ends every process of a sandbox's cgroups and removes them; those that are not there are none to remove.
 *
 * @throws JAIL_FAILED when a process does not end within 5 s
 */
export async function removeCgroups(id: string): Promise<void> {
  const { v2, v1 } = await readHierarchies();
  const folders = [...(v2 === undefined ? [] : [v2]), ...new Set(v1.values())].map((mount) => join(mount, nameOf(id)));
  for (const folder of folders) await removeTree(folder);
}

function settingsOf(controller: Controller, { cpus, memoryMiB }: JailLimits) {
  const bytes = String(memoryMiB * 1024 * 1024);
  switch (controller) {
    case 'cpu':
      return {
        v2: { file: 'cpu.max', value: `${cpus * periodUs} ${periodUs}` },
        v1: { file: 'cpu.cfs_quota_us', value: String(cpus * periodUs) },
      };
    case 'memory':
      return { v2: { file: 'memory.max', value: bytes }, v1: { file: 'memory.limit_in_bytes', value: bytes } };
    case 'pids': {
      const limit = { file: 'pids.max', value: String(maxProcesses) };
      return { v2: limit, v1: limit };
    }
  }
}

/** Source: proc_pid_mounts(5). Of several mounts of one hierarchy any will do. */
async function readHierarchies(): Promise<Hierarchies> {
  let v2: string | undefined;
  const v1 = new Map<string, string>();
  for (const line of (await readFile('/proc/self/mounts', 'utf8')).split('\n')) {
    const [, point = '', type, options = ''] = line.split(' ');
    if (type === 'cgroup2') v2 ??= point;
    if (type !== 'cgroup') continue;
    for (const name of controllers) if (options.split(',').includes(name) && !v1.has(name)) v1.set(name, point);
  }
  return { v2, v1 };
}

async function removeTree(folder: string): Promise<void> {
  const deadline = Date.now() + 5000;
  while (await exists(folder)) {
    const pids = await pidsIn(folder);
    for (const pid of pids) kill(pid);
    if (pids.length === 0 && (await removeFolders(folder))) return;
    if (Date.now() > deadline) {
      throw new TapwardenError('JAIL_FAILED', {
        message: `The cgroup ${folder} cannot be removed: processes ${pids.join(', ')} do not end`,
        details: { folder, pids },
      });
    }
    await sleep(5);
  }
}

/** The processes of a cgroup and of those below it. */
async function pidsIn(folder: string): Promise<readonly number[]> {
  const own = await readFile(join(folder, 'cgroup.procs'), 'utf8').catch(() => '');
  const below = await Promise.all((await childrenOf(folder)).map(async (child) => await pidsIn(child)));
  return [
    ...own
      .split('\n')
      .filter((line) => line !== '')
      .map(Number),
    ...below.flat(),
  ];
}

/** False when one is still in use: a process that has ended goes a moment later. */
async function removeFolders(folder: string): Promise<boolean> {
  for (const child of await childrenOf(folder)) if (!(await removeFolders(child))) return false;
  try {
    await rmdir(folder);
  } catch (error) {
    if (errnoOf(error) === 'EBUSY') return false;
    if (errnoOf(error) !== 'ENOENT') throw error;
  }
  return true;
}

async function childrenOf(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => join(folder, name));
}

async function exists(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    () => false,
  );
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has just ended.
  }
}
