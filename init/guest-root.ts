import { constants } from 'node:fs';
import { chmod, copyFile, mkdir, readdir, symlink, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { TapwardenError } from '../base/errors.ts';
import { programLoader } from '../base/program.ts';
import type { Run } from '../base/runner.ts';
import { guestPaths } from './contract.ts';
import { renderGuestFiles, renderModulesDep } from './guest-files.ts';
import type { GuestKernel } from './kernel-package.ts';
import { findProgram, type ProgramName } from './programs.ts';
import { parseLdd } from './shared-libraries.ts';

/** Programs of the host that the guest gets, with their place in the guest. */
const hostPrograms: Readonly<Partial<Record<ProgramName, { readonly target: string; readonly mode: number }>>> = {
  nft: { target: guestPaths.nft, mode: 0o755 },
  ip: { target: guestPaths.ip, mode: 0o755 },
  bwrap: { target: guestPaths.bwrap, mode: 0o4755 },
  busybox: { target: guestPaths.busybox, mode: 0o755 },
};

/** A program of the host and its place in the guest. */
export type GuestProgram = { readonly source: string; readonly target: string; readonly mode: number };

/**
 * Finds what is copied from the host into the guest root, beside the running Node, which is `node`.
 *
 * @throws PROGRAM_MISSING with the Debian package to install
 */
export async function findGuestPrograms(node: string, path: string): Promise<readonly GuestProgram[]> {
  const found = Object.entries(hostPrograms).map(async ([name, place]) => ({
    ...place,
    source: await findProgram(name as ProgramName, path),
  }));
  return [{ source: node, target: guestPaths.node, mode: 0o755 }, ...(await Promise.all(found))];
}

/** What a guest root is made of. */
export type GuestRootParts = {
  readonly programs: readonly GuestProgram[];
  readonly kernel: GuestKernel;
  /** Modules to leave out, so that a test can see what the guest does without them. */
  readonly omitModules: readonly string[];
  readonly supervisorBundle: string;
  /** Files of native code that the supervisor requires as `./native/…`. */
  readonly nativeModules: readonly string[];
  /** The directory with the guest's scripts. */
  readonly scripts: string;
  readonly run: Run;
  readonly path: string;
};

/**
 * Fills the empty directory `tree` with the guest's root. All files belong to the user that runs this, which is root.
 *
 * @throws PROGRAM_MISSING when busybox is not statically linked, or a program of the build is not installed
 * @throws IMAGE_BUILD_FAILED when a library is missing
 */
export async function stageGuestRoot(tree: string, parts: GuestRootParts): Promise<void> {
  for (const directory of directories) await mkdir(join(tree, directory), { recursive: true });
  for (const [from, to] of mergedDirectories) await symlink(to, join(tree, from));

  for (const program of parts.programs) await copy(program.source, join(tree, program.target), program.mode);
  await copyLibraries(tree, parts);
  await linkApplets(tree, parts);

  const modules = join(tree, 'usr/lib/modules', parts.kernel.release);
  const files = await availableModules(parts);
  for (const file of files) await copy(join(parts.kernel.directory, 'modules', file), join(modules, file), 0o644);
  const names = files.map((file) => basename(file, '.ko'));
  await writeText(join(modules, 'modules.dep'), renderModulesDep(names));
  for (const { path, text } of renderGuestFiles(parts.kernel.guestModules)) {
    await writeText(join(tree, path), text);
  }
  await copy(join(parts.scripts, 'init.sh'), join(tree, 'usr/sbin/init'), 0o755);
  await copy(join(parts.scripts, 'sysctl.conf'), join(tree, 'etc/tapwarden/sysctl.conf'), 0o644);
  await copy(programLoader, join(tree, guestPaths.loader), 0o644);
  await copy(parts.supervisorBundle, join(tree, guestPaths.supervisor), 0o644);
  // By this very Node, which is the guest's: it takes no code of another one's.
  await parts.run([process.execPath, programLoader, '--make', join(tree, guestPaths.supervisor)]);
  for (const file of parts.nativeModules) await copy(file, join(tree, guestPaths.nativeModules, basename(file)), 0o644);
  await openDirectories(tree);
}

/** The module files for the guest. Names without a file stay in the list of init, which says what is absent. */
async function availableModules({ kernel, omitModules }: GuestRootParts): Promise<readonly string[]> {
  const available = new Set(await readdir(join(kernel.directory, 'modules')));
  return kernel.guestModules
    .filter((name) => !omitModules.includes(name))
    .map((name) => `${name}.ko`)
    .filter((file) => available.has(file));
}

const libraryDirectory = 'usr/lib/x86_64-linux-gnu';

const directories = [
  ...['dev', 'etc/tapwarden', 'proc', 'root', 'run', 'sys', 'tmp', 'var', 'workload'],
  ...['usr/bin', 'usr/sbin', libraryDirectory, 'usr/lib64', 'usr/lib/modules', 'usr/lib/tapwarden'],
];

const mergedDirectories = [
  ['bin', 'usr/bin'],
  ['sbin', 'usr/sbin'],
  ['lib', 'usr/lib'],
  ['lib64', 'usr/lib64'],
  ['var/run', '/run'],
] as const;

/** Copies what the programs are linked with: libraries where the loader looks first, loaders where programs say. */
async function copyLibraries(tree: string, { programs, nativeModules, run, path }: GuestRootParts): Promise<void> {
  const ldd = await findProgram('ldd', path);
  // Status 1 is the answer that one of them, busybox, is statically linked.
  const linked = [...programs.map((program) => program.source), ...nativeModules];
  const listed = await run([ldd, ...linked], { okStatuses: [0, 1] });
  const { libraries, loaders } = parseLdd(listed.stdout);
  for (const library of libraries) await copy(library, join(tree, libraryDirectory, basename(library)), 0o755);
  for (const loader of loaders) await copy(loader, join(tree, loader), 0o755);
}

async function linkApplets(tree: string, { programs, run, path }: GuestRootParts): Promise<void> {
  const busybox = await findProgram('busybox', path);
  const linked = await run([await findProgram('ldd', path), busybox], { okStatuses: [0, 1] });
  if (linked.status === 0) {
    throw new TapwardenError('PROGRAM_MISSING', {
      message: `${busybox} is linked with shared libraries, but starts the guest before these are there`,
      hint: 'Install it: apt-get install busybox-static',
    });
  }
  const taken = new Set([...programs.map((program) => basename(program.target)), 'init']);
  const applets = (await run([busybox, '--list'])).stdout.split('\n').filter((name) => name !== '' && !taken.has(name));
  for (const name of applets) await symlink('busybox', join(tree, 'usr/bin', name));
}

/** Gives every directory its mode, which mkdir leaves to the umask. The workload's user must find its programs. */
async function openDirectories(directory: string): Promise<void> {
  await chmod(directory, 0o755);
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    if (entry.isDirectory()) await openDirectories(join(directory, entry.name));
  }
}

async function writeText(file: string, text: string): Promise<void> {
  await writeFile(file, text);
  await chmod(file, 0o644);
}

async function copy(source: string, target: string, mode: number): Promise<void> {
  await mkdir(dirname(target), { recursive: true });
  await copyFile(source, target, constants.COPYFILE_FICLONE);
  // copyFile's mode is subject to the umask, and loses the set-user-id bit.
  await chmod(target, mode);
}
