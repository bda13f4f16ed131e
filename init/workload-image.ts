import { createHash } from 'node:crypto';
import { appendFile, chmod, chown, mkdir, open, readdir, rm, writeFile } from 'node:fs/promises';
import { isAbsolute, join, resolve } from 'node:path';
import { TapwardenError } from '../base/errors.ts';
import { quoteText } from '../base/escape.ts';
import { type Run, systemPath } from '../base/runner.ts';
import { buildStep, type Progress } from './build-step.ts';
import { workloadUser } from './contract.ts';
import { indexTargetsFormat, renderSources, selectDebianSources } from './debian-sources.ts';
import { makeExt4 } from './ext4.ts';
import { ensureEntry } from './image-store.ts';
import { findProgram } from './programs.ts';

/** Raised when what this file makes of the same recipe changes. */
const builderVersion = 2;

const suite = 'bookworm';

const packages: readonly string[] = ['ca-certificates', 'curl', 'git', 'python3'];

/** Left out when packages are unpacked. Licences stay. */
const excludedPaths: readonly string[] = [
  '/usr/share/man/*',
  '/usr/share/info/*',
  '/usr/share/locale/*',
  '/usr/share/i18n/*',
  '/usr/share/doc/*',
  '/usr/share/lintian/*',
  '/usr/share/bash-completion/*',
];

/** What image is asked for. */
export type WorkloadImageOptions = {
  /** Example: `/var/lib/tapwarden`. */
  readonly stateDir: string;
  /**
   * `default`: a minimal Debian 12 with Python 3, curl and git, which is built when it is first asked for.
   * Another name `x`: the file `<stateDir>/images/workload/x.ext4`. A path (with a slash): that file.
   */
  readonly name: string;
  readonly run: Run;
  readonly onProgress: Progress;
  /** Where programs are searched, as in `$PATH`. @default {@link systemPath} */
  readonly path?: string;
  /** Whether the default image is built when it is not there; otherwise that is an error. @default true */
  readonly mayBuild?: boolean;
};

/** The workload's root filesystem: ext4, to be the second disk, never written. */
export type WorkloadImage = { readonly name: string; readonly path: string };

/**
 * Returns the named workload image; builds the default one if it is not there.
 *
 * @throws IMAGE_NOT_FOUND when there is no such image, with the names of those that are there; or when the default one
 *   is not there and may not be built
 * @throws IMAGE_BUILD_FAILED when a step fails, with the end of what its program printed
 * @throws PROGRAM_MISSING, DISK_FULL, LOCK_TIMEOUT
 */
export async function ensureWorkloadImage(options: WorkloadImageOptions): Promise<WorkloadImage> {
  const { name, stateDir } = options;
  const store = join(stateDir, 'images', 'workload');
  if (name === 'default') return { name, path: await ensureDefaultImage(store, options) };
  const isPath = name.includes('/') && /\.(ext4|img)$/.test(name);
  const isName = /^[a-z0-9][a-z0-9._-]{0,63}$/.test(name);
  const path = isPath ? (isAbsolute(name) ? name : resolve(name)) : join(store, `${name}.ext4`);
  if ((isPath || isName) && (await isExt4(path))) return { name, path };
  const there = (await readdir(store).catch(() => [])).filter((file) => file.endsWith('.ext4'));
  const names = ['default', ...there.map((file) => file.slice(0, -'.ext4'.length)).sort()];
  throw new TapwardenError('IMAGE_NOT_FOUND', {
    message: `There is no workload image ${quoteText(name, 200)}${isPath || isName ? `: ${path} is no ext4 image` : ''}`,
    hint: `There are: ${names.map((found) => quoteText(found, 80)).join(', ')}. A path ends in .ext4 or .img.`,
    details: { name, names },
  });
}

/** Where the package debian-archive-keyring has Debian's keys. */
const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg';

async function ensureDefaultImage(store: string, options: WorkloadImageOptions): Promise<string> {
  const hash = createHash('sha256')
    .update(JSON.stringify([builderVersion, suite, packages, excludedPaths, workloadUser]))
    .digest('hex')
    .slice(0, 16);
  const build = (directory: string) => buildDefaultImage(directory, options);
  const { onProgress, mayBuild = true } = options;
  const directory = await ensureEntry({ store: join(store, 'default'), hash, onProgress, mayBuild, build });
  return join(directory, 'root.ext4');
}

async function buildDefaultImage(directory: string, options: WorkloadImageOptions): Promise<void> {
  const { run, onProgress, path = systemPath } = options;
  const mkfs = await findProgram('mkfs.ext4', path);
  const tree = join(directory, 'tree');
  await buildStep(onProgress, `workload image: installing Debian ${suite} with ${packages.join(', ')}`, () =>
    installDebian(tree, run, path),
  );
  await buildStep(onProgress, 'workload image: making the filesystem', async () => {
    await tidy(tree);
    await makeExt4(run, mkfs, tree, join(directory, 'root.ext4'));
    await rm(tree, { recursive: true });
  });
}

async function installDebian(tree: string, run: Run, path: string): Promise<void> {
  const mmdebstrap = await findProgram('mmdebstrap', path);
  const aptGet = await findProgram('apt-get', path);
  const listed = await run([aptGet, 'indextargets', '--format', indexTargetsFormat, 'Created-By: Packages']);
  const sources = selectDebianSources(listed.stdout, suite);
  if (sources.length === 0) {
    throw new TapwardenError('IMAGE_BUILD_FAILED', {
      message: `apt on this machine has no source of Debian ${suite}, from which the workload image is made`,
      hint: `Add one to /etc/apt/sources.list.d, or name an image of your own with --image.`,
    });
  }
  // mmdebstrap reads no configuration of this machine's apt, but may need its proxies to reach anything.
  const config = await run([aptGet.replace(/apt-get$/, 'apt-config'), 'dump', 'Acquire']);
  const argv = [
    '--mode=root',
    '--variant=essential',
    '--format=directory',
    '--quiet',
    `--include=${packages.join(',')}`,
    ...excludedPaths.map((pattern) => `--dpkgopt=path-exclude=${pattern}`),
    '--dpkgopt=path-include=/usr/share/doc/*/copyright',
    ...selectAptOptions(config.stdout).map((option) => `--aptopt=${option}`),
    suite,
    tree,
    '-',
  ];
  await run([mmdebstrap, ...argv], { input: renderSources(sources, keyring), timeoutMs: 1_200_000 });
}

/**
 * The settings of `apt-config dump` that say how this machine reaches package sources, without the empty ones.
 * Example: `['Acquire::http::Proxy "http://127.0.0.1:3142"']`.
 */
export function selectAptOptions(dump: string): readonly string[] {
  return dump
    .split('\n')
    .map((line) => line.replace(/;$/, ''))
    .filter((line) => /^Acquire::https?::\S+ "[^"]+"$/.test(line));
}

/** Takes out what names this machine, and puts in the workload's user. */
async function tidy(tree: string): Promise<void> {
  const emptied = ['etc/apt', 'var/cache/apt', 'var/lib/apt', 'var/log', 'tmp', 'run'];
  for (const name of emptied) {
    await rm(join(tree, name), { recursive: true, force: true });
    await mkdir(join(tree, name), { recursive: true });
    await chmod(join(tree, name), name === 'tmp' ? 0o1777 : 0o755);
  }
  const { name, uid, gid, home } = workloadUser;
  await appendFile(join(tree, 'etc/passwd'), `${name}:x:${uid}:${gid}::${home}:/bin/bash\n`);
  await appendFile(join(tree, 'etc/group'), `${name}:x:${gid}:\n`);
  // An asterisk is no password's hash: nobody logs in with one.
  await appendFile(join(tree, 'etc/shadow'), `${name}:*:19000:0:99999:7:::\n`);
  await mkdir(join(tree, home), { recursive: true });
  await chmod(join(tree, home), 0o755);
  await chown(join(tree, home), uid, gid);
  const files = {
    // Those of this machine name this machine's mirrors.
    'etc/apt/sources.list': '# Name package sources here, and allow their hosts in the policy.\n',
    'etc/hostname': 'sandbox\n',
    'etc/hosts': '127.0.0.1 localhost sandbox\n::1 localhost sandbox\n',
    // The workload resolves no names: the proxy does.
    'etc/resolv.conf': '',
    'etc/machine-id': '',
  };
  for (const [path, text] of Object.entries(files)) {
    await rm(join(tree, path), { force: true });
    await writeFile(join(tree, path), text);
    await chmod(join(tree, path), 0o644);
  }
}

/** Says whether `path` is a file with an ext4 superblock. Source: fs/ext4/ext4.h, `s_magic` at byte 1024 + 0x38 */
async function isExt4(path: string): Promise<boolean> {
  const file = await open(path, 'r').catch(() => undefined);
  if (file === undefined) return false;
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(2), 0, 2, 1024 + 0x38);
    return bytesRead === 2 && buffer.readUInt16LE() === 0xef53;
  } catch {
    // A directory opens, and cannot be read.
    return false;
  } finally {
    await file.close();
  }
}
