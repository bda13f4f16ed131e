import { createHash } from 'node:crypto';
import { copyFile, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { errnoOf, isTapwardenError, messageOf, TapwardenError } from '../base/errors.ts';
import type { Run } from '../base/runner.ts';
import { buildStep, type Progress } from './build-step.ts';
import { unpackDebianPackage } from './debian-package.ts';
import { ensureEntry, notBuilt } from './image-store.ts';
import {
  bootModules,
  guestModules,
  moduleName,
  parseModuleDependencies,
  planLoadOrder,
  stripSignature,
} from './kernel-modules.ts';
import { findProgram } from './programs.ts';
import { extractVmlinux } from './vmlinux.ts';

/** What this folder makes of a package. The number is raised when that changes otherwise than in the modules. */
const recipe = JSON.stringify([2, bootModules, guestModules]);

/** Debian's kernel for virtual machines: the package that always depends on the newest. */
const metaPackage = 'linux-image-cloud-amd64';

/** apt writes here whenever it learns of new packages. */
const aptLists = '/var/lib/apt/lists';

/** A kernel that was taken out of its package. */
export type GuestKernel = {
  readonly hash: string;
  /** Holds `vmlinux` and `modules/<name>.ko`. */
  readonly directory: string;
  /** Example: `6.1.0-56-cloud-amd64`. */
  readonly release: string;
  /** Modules for the first root filesystem, in the order to load them. */
  readonly bootModules: readonly string[];
  /** Modules for the guest root, in the order to load them after {@link GuestKernel.bootModules}. */
  readonly guestModules: readonly string[];
};

/** What is asked for, and by what means. */
export type KernelOptions = {
  readonly stateDir: string;
  readonly run: Run;
  readonly onProgress: Progress;
  /** Where programs are searched, as in `$PATH`. */
  readonly path: string;
  /** Whether a kernel is fetched; otherwise that of the last call is the answer. @default true */
  readonly mayBuild?: boolean;
};

/**
 * Returns Debian's newest kernel for virtual machines, downloaded and taken apart below `<stateDir>/images/kernel`.
 *
 * The package is never installed. While apt has learnt nothing new, the kernel of the last call is the answer and no
 * program runs. Where apt cannot name or fetch one, the kernel of the last call serves on, with a line of progress.
 *
 * @throws IMAGE_NOT_FOUND when there is no kernel yet and none may be fetched
 * @throws IMAGE_BUILD_FAILED when there is no kernel yet and apt has none either, or its package cannot be used
 * @throws PROGRAM_MISSING, DISK_FULL, LOCK_TIMEOUT
 */
export async function ensureKernel(options: KernelOptions): Promise<GuestKernel> {
  const store = join(options.stateDir, 'images', 'kernel');
  const listsMs = (await stat(aptLists).catch(() => undefined))?.mtimeMs ?? 0;
  const last = await readJson<Last>(join(store, 'last.json'));
  if (last?.listsMs === listsMs && last.recipe === recipe) {
    const kernel = await readKernel(store, last.hash);
    if (kernel !== undefined) return kernel;
  }
  if (options.mayBuild === false) return await lastKernel(store, last);
  const hash = await fetchNewest(store, options).catch(async (error: unknown) => {
    const usable = last?.recipe === recipe ? await readKernel(store, last.hash) : undefined;
    if (last === undefined || usable === undefined || !isTapwardenError(error, 'IMAGE_BUILD_FAILED')) throw error;
    options.onProgress(`guest kernel: going on with ${usable.release}: ${messageOf(error)}`);
    return last.hash;
  });
  const kernel = await readKernel(store, hash);
  if (kernel === undefined)
    throw new TapwardenError('BUG', { message: `The kernel ${hash} is not where it was built` });
  await writeLast(store, { hash, listsMs, recipe });
  return kernel;
}

async function lastKernel(store: string, last: Last | undefined): Promise<GuestKernel> {
  const kernel = last?.recipe === recipe ? await readKernel(store, last.hash) : undefined;
  if (kernel === undefined) throw notBuilt(store);
  return kernel;
}

/** The kernel that apt calls the newest. Example: `{name: 'linux-image-6.1.0-56-cloud-amd64', version: '6.1.192-2'}`. */
type KernelPackage = { readonly name: string; readonly version: string };

async function fetchNewest(store: string, options: KernelOptions): Promise<string> {
  const { run, onProgress, path } = options;
  const aptCache = await findProgram('apt-cache', path);
  const found = await buildStep(onProgress, 'guest kernel: asking apt for the newest', async () => {
    const shown = await run([aptCache, 'show', '--no-all-versions', metaPackage], { okStatuses: [0, 100] });
    return parseKernelPackage(shown.stdout);
  });
  const hash = createHash('sha256')
    .update(JSON.stringify([recipe, found]))
    .digest('hex')
    .slice(0, 16);
  await ensureEntry({ store, hash, onProgress, build: (directory) => buildKernel(directory, found, options) });
  return hash;
}

/**
 * Finds the kernel's own package in what `apt-cache show` prints for the package that depends on it.
 *
 * @throws IMAGE_BUILD_FAILED when apt knows none
 */
export function parseKernelPackage(shown: string): KernelPackage {
  const depends = /^Depends: (linux-image-[a-z0-9.+-]+)(?: \(= ([A-Za-z0-9.+:~-]+)\))?/m.exec(shown);
  const version = depends?.[2] ?? /^Version: ([A-Za-z0-9.+:~-]+)$/m.exec(shown)?.[1];
  if (depends?.[1] === undefined || version === undefined) {
    throw new TapwardenError('IMAGE_BUILD_FAILED', {
      message: `apt knows no package '${metaPackage}', from which the guest's kernel is taken`,
      hint: "Run 'apt-get update'; on a distribution other than Debian 12, add its sources.",
    });
  }
  return { name: depends[1], version };
}

async function buildKernel(directory: string, found: KernelPackage, options: KernelOptions): Promise<void> {
  const { run, onProgress, path } = options;
  const scratch = await mkdtemp(`${directory}-scratch-`);
  try {
    const root = await unpackDebianPackage(found, scratch, { run, onProgress, path, what: 'guest kernel' });
    await takeApart(root, directory, options);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

async function takeApart(root: string, directory: string, options: KernelOptions): Promise<void> {
  const image = (await readdir(join(root, 'boot'))).find((name) => name.startsWith('vmlinuz-'));
  if (image === undefined) throw unusable('it holds no vmlinuz');
  const release = image.slice('vmlinuz-'.length);
  const bzImage = await readFile(join(root, 'boot', image));
  await writeFile(join(directory, 'vmlinux'), extractVmlinux(bzImage) ?? bzImage);

  const library = join(root, 'lib', 'modules', release);
  const files = (await readdir(join(library, 'kernel'), { recursive: true })).filter((name) =>
    /\.ko(\.xz)?$/.test(name),
  );
  const fileOf = new Map(files.map((name) => [moduleName(basename(name)), join(library, 'kernel', name)]));
  const builtIn = new Set(
    (await readFile(join(library, 'modules.builtin'), 'utf8')).split('\n').map((name) => moduleName(basename(name))),
  );
  const modules = join(directory, 'modules');
  await mkdir(modules);
  const dependencies = await copyModules(modules, fileOf, options);
  const lookup = (name: string) => {
    const needed = dependencies.get(name);
    return needed === undefined ? undefined : { name, dependencies: needed };
  };
  const boot = planLoadOrder(bootModules, lookup);
  const guest = planLoadOrder(guestModules, lookup, boot.modules);
  const lost = boot.absent.filter((name) => !builtIn.has(name));
  if (lost.length > 0) throw unusable(`it lacks ${lost.join(', ')}, without which the guest finds no disk`);
  // The guest's init names what is not there, and the supervisor asks the kernel what it can do.
  const kept = guest.absent.filter((name) => !builtIn.has(name));
  await writeFile(
    join(directory, 'kernel.json'),
    JSON.stringify({ release, bootModules: boot.modules, guestModules: [...guest.modules, ...kept] }),
  );
}

/** Copies the wanted modules and all that they depend on to `modules`; returns the dependencies of each. */
async function copyModules(
  modules: string,
  fileOf: ReadonlyMap<string, string>,
  options: KernelOptions,
): Promise<ReadonlyMap<string, readonly string[]>> {
  const dependencies = new Map<string, readonly string[]>();
  const queue = [...bootModules, ...guestModules];
  for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
    const source = fileOf.get(name);
    if (source === undefined || dependencies.has(name)) continue;
    const target = join(modules, `${name}.ko`);
    if (source.endsWith('.xz')) {
      await copyFile(source, `${target}.xz`);
      await options.run([await findProgram('xz', options.path), '-d', `${target}.xz`]);
    } else {
      await copyFile(source, target);
    }
    const module = stripSignature(await readFile(target));
    await writeFile(target, module);
    const needed = parseModuleDependencies(module);
    dependencies.set(name, needed);
    queue.push(...needed);
  }
  return dependencies;
}

async function readKernel(store: string, hash: string): Promise<GuestKernel | undefined> {
  const directory = join(store, hash);
  const found = await readJson<Omit<GuestKernel, 'hash' | 'directory'>>(join(directory, 'kernel.json'));
  return found === undefined ? undefined : { ...found, hash, directory };
}

/** The answer of the last call, and what apt knew then. */
type Last = { readonly hash: string; readonly listsMs: number; readonly recipe: string };

async function writeLast(store: string, last: Last): Promise<void> {
  const temporary = join(store, `.last-${process.pid}`);
  await writeFile(temporary, JSON.stringify(last));
  await rename(temporary, join(store, 'last.json'));
}

/** Reads a file that this module wrote; one that is not there, or was cut short by a crash, counts as never written. */
async function readJson<T>(file: string): Promise<T | undefined> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as T;
  } catch (error) {
    if (error instanceof SyntaxError || errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

function unusable(what: string): TapwardenError {
  return new TapwardenError('IMAGE_BUILD_FAILED', { message: `The kernel package cannot be used: ${what}` });
}
