import { createHash } from 'node:crypto';
import { copyFile, link, mkdir, readdir, readFile, realpath, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { errnoOf, TapwardenError } from '../base/errors.ts';
import { programLoader } from '../base/program.ts';
import { type Run, systemPath } from '../base/runner.ts';
import { buildStep, type Progress } from './build-step.ts';
import { type CpioEntry, renderCpio } from './cpio.ts';
import { makeExt4 } from './ext4.ts';
import { renderModulesDep } from './guest-files.ts';
import { findGuestPrograms, type GuestProgram, stageGuestRoot } from './guest-root.ts';
import { ensureEntry } from './image-store.ts';
import { ensureKernel, type GuestKernel } from './kernel-package.ts';
import { findProgram } from './programs.ts';

/** Raised when what this folder makes of the same inputs changes in a way that no input shows. */
const builderVersion = 3;

/** What the guest is made from. */
export type GuestOptions = {
  /** Example: `/var/lib/tapwarden`. */
  readonly stateDir: string;
  /**
   * The file that becomes `/usr/lib/tapwarden/supervisor.cjs`: one CommonJS module that requires nothing outside Node, but
   * for the native modules in the folder `native` beside it, if there is one.
   */
  readonly supervisorBundle: string;
  readonly run: Run;
  readonly onProgress: Progress;
  /** Kernel modules to leave out, for tests of what the guest does without them. Example: `['nft_log']`. */
  readonly omitModules?: readonly string[];
  /** Where programs are searched, as in `$PATH`. @default {@link systemPath} */
  readonly path?: string;
  /** Whether what is not there is built; otherwise it is an error. @default true */
  readonly mayBuild?: boolean;
};

/** A guest that can be booted. Other processes may use it at the same time: its disks are read-only. */
export type GuestImage = {
  /** Names everything that went into the image, the kernel included: 16 hexadecimal digits. */
  readonly hash: string;
  readonly directory: string;
  /** An ELF vmlinux, or a bzImage where the kernel is not compressed with LZ4. QEMU takes both. */
  readonly kernel: string;
  readonly initrd: string;
  /** ext4, to be the first disk. */
  readonly root: string;
  /** Example: `6.1.0-56-cloud-amd64`. */
  readonly kernelRelease: string;
};

/**
 * Returns the guest image for this supervisor, this Node and the programs of this host; builds it if it is not there.
 *
 * The image is named by its inputs: a change of any makes another image. Programs count by path, size, time and inode,
 * their libraries by the loader's cache, scripts and bundle by content, so that asking costs milliseconds.
 *
 * @throws IMAGE_NOT_FOUND when a part is not there and may not be built
 * @throws PROGRAM_MISSING with the Debian package to install
 * @throws IMAGE_BUILD_FAILED when a step fails, with the end of what its program printed
 * @throws FILE_UNREADABLE when the bundle cannot be read
 * @throws DISK_FULL, LOCK_TIMEOUT
 */
export async function ensureGuest(options: GuestOptions): Promise<GuestImage> {
  const { stateDir, run, onProgress, omitModules = [], path = systemPath, mayBuild = true } = options;
  const kernel = await ensureKernel({ stateDir, run, onProgress, path, mayBuild });
  const programs = await findGuestPrograms(await realpath(process.execPath), path);
  const nativeModules = await findNativeModules(options.supervisorBundle);
  const hash = await hashOfInputs(kernel, programs, nativeModules, options);
  const directory = await ensureEntry({
    store: join(stateDir, 'images', 'guest'),
    hash,
    onProgress,
    mayBuild,
    build: async (target) => {
      const tree = join(target, 'tree');
      const { supervisorBundle } = options;
      const parts = {
        programs,
        kernel,
        omitModules,
        supervisorBundle,
        nativeModules,
        scripts: scriptsDirectory,
        run,
        path,
      };
      const mkfs = await findProgram('mkfs.ext4', path);
      await buildStep(onProgress, 'guest image: building', async () => {
        await mkdir(tree);
        await stageGuestRoot(tree, parts);
        await makeExt4(run, mkfs, tree, join(target, 'root.ext4'));
        await rm(tree, { recursive: true });
        await writeFile(join(target, 'initrd'), await renderInitrd(kernel, programs));
        await linkOrCopy(join(kernel.directory, 'vmlinux'), join(target, 'vmlinux'));
      });
    },
  });
  return {
    hash,
    directory,
    kernel: join(directory, 'vmlinux'),
    initrd: join(directory, 'initrd'),
    root: join(directory, 'root.ext4'),
    kernelRelease: kernel.release,
  };
}

/** `init/guest` of the package, seen from `init` and, one level deeper, from `build/init`. */
const scriptsDirectory = fileURLToPath(
  new URL(import.meta.url.endsWith('.ts') ? './guest/' : '../../init/guest/', import.meta.url),
);

const scriptNames = ['initrd.sh', 'init.sh', 'sysctl.conf'] as const;

async function findNativeModules(supervisorBundle: string): Promise<readonly string[]> {
  const folder = join(dirname(supervisorBundle), 'native');
  try {
    return (await readdir(folder)).sort().map((name) => join(folder, name));
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
    return [];
  }
}

/** Where the loader finds libraries; rewritten by ldconfig(8) at each change of an installed library. */
const loaderCache = '/etc/ld.so.cache';

async function hashOfInputs(
  kernel: GuestKernel,
  programs: readonly GuestProgram[],
  nativeModules: readonly string[],
  { supervisorBundle, omitModules = [] }: GuestOptions,
): Promise<string> {
  const bundles = await Promise.all([programLoader, supervisorBundle, ...nativeModules].map(readBundle));
  const scripts = await Promise.all(scriptNames.map((name) => readFile(join(scriptsDirectory, name))));
  const identities = await Promise.all([...programs.map((program) => program.source), loaderCache].map(identityOf));
  const hash = createHash('sha256');
  hash.update(JSON.stringify([builderVersion, kernel.hash, identities, [...omitModules].sort()]));
  for (const data of [...bundles, ...scripts]) hash.update(`\n${data.length}\n`).update(data);
  return hash.digest('hex').slice(0, 16);
}

async function readBundle(path: string): Promise<Buffer> {
  return await readFile(path).catch((cause: unknown) => {
    throw new TapwardenError('FILE_UNREADABLE', {
      message: `The guest's program ${path} cannot be read: ${errnoOf(cause) ?? 'unknown reason'}`,
      hint: "In a checkout, build it first: 'npm run build'.",
      cause,
    });
  });
}

/** What tells one version of a file from another without reading it. */
async function identityOf(path: string): Promise<readonly (string | number)[]> {
  const { size, mtimeMs, ino } = await stat(path);
  return [path, size, mtimeMs, ino];
}

/** The first root filesystem: busybox, a script, and the modules that find the root disk. */
async function renderInitrd(kernel: GuestKernel, programs: readonly GuestProgram[]): Promise<Uint8Array> {
  const busybox = programs.find((program) => program.source.endsWith('busybox'));
  if (busybox === undefined) throw new TapwardenError('BUG', { message: 'busybox is not among the guest programs' });
  const folder = `lib/modules/${kernel.release}`;
  const directories = ['bin', 'dev', 'etc', 'lib', 'lib/modules', folder, 'proc', 'root', 'run'];
  const modules = kernel.bootModules.map(
    async (name): Promise<CpioEntry> => ({
      kind: 'file',
      path: `${folder}/${name}.ko`,
      mode: 0o644,
      data: await readFile(join(kernel.directory, 'modules', `${name}.ko`)),
    }),
  );
  return renderCpio([
    ...directories.map((path) => ({ kind: 'directory', path, mode: 0o755 }) as const),
    { kind: 'file', path: 'bin/busybox', mode: 0o755, data: await readFile(busybox.source) },
    { kind: 'file', path: 'init', mode: 0o755, data: await readFile(join(scriptsDirectory, 'initrd.sh')) },
    {
      kind: 'file',
      path: `${folder}/modules.dep`,
      mode: 0o644,
      data: Buffer.from(renderModulesDep(kernel.bootModules)),
    },
    { kind: 'file', path: 'etc/modules', mode: 0o644, data: Buffer.from(`${kernel.bootModules.join('\n')}\n`) },
    ...(await Promise.all(modules)),
  ]);
}

/** A link keeps the image whole when the kernel's own entry goes, at no cost in space. */
async function linkOrCopy(source: string, target: string): Promise<void> {
  await link(source, target).catch(() => copyFile(source, target));
}
