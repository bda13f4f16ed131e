import { access, readFile, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { isTapwardenError, type Run, systemPath } from '../../base/index.ts';
import {
  chooseAccelerator,
  confined,
  findGuest,
  framesRuleset,
  isOwned,
  listSandboxes,
  type Paths,
  slotRuleset,
} from '../../driver-vm/index.ts';
import {
  ensureWorkloadImage,
  findProgram,
  type GuestImage,
  neededBytes,
  type ProgramName,
  parseKernelPackage,
  parseTscKhz,
  programPackages,
} from '../../init/index.ts';
import { checkRuleset, probeFeatures } from '../../nft/index.ts';
import { packageEngine } from '../package-info.ts';
import { examineJail } from './examine-jail.ts';
import { examineSnapshot } from './examine-snapshot.ts';
import { type Finding, missing, ok, warn } from './finding.ts';
import {
  type FoundProgram,
  judgeAccelerator,
  judgeDisk,
  judgeFailure,
  judgeFeatures,
  judgeLeftovers,
  judgeMemory,
  judgeNode,
  judgePrograms,
  judgeQemu,
  judgeUser,
} from './judge.ts';

/** What an examination works from. */
export type ExamineOptions = {
  readonly paths: Paths;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly uid: number | undefined;
  /** Whether images that are not there are built. Otherwise nothing changes on this machine but the cached answer about KVM. */
  readonly mayBuild: boolean;
  readonly run: Run;
  readonly onProgress: (line: string) => void;
};

/**
 * Looks at everything that a sandbox needs. What needs root is tried in network and mount namespaces that end with the
 * trial; without root it is left out, and said to be.
 */
export async function examine(options: ExamineOptions): Promise<readonly Finding[]> {
  const { paths, uid, run } = options;
  const programs = await findPrograms(systemPath);
  const images: Images = uid === 0 ? await examineImages(options) : { ...noImages, findings: [unseen('images')] };
  return [
    judgeUser(uid),
    ...judgeNode(process.versions.node, packageEngine, `${process.platform} ${process.arch}`),
    ...judgePrograms(programs, images.guest !== undefined && images.workloadBuilt),
    ...(programs.some(({ name, path }) => name === 'qemu-system-x86_64' && path !== undefined)
      ? [await tried('qemu', () => examineQemu(run))]
      : []),
    ...(uid === 0 ? await examineKernel(run) : [unseen('kernel')]),
    ...(uid === 0 ? await examineJail(run) : [unseen('jail')]),
    ...images.findings,
    await examineAccelerator(options, images.guest),
    ...(images.guest !== undefined && images.workloadBuilt && options.env['TAPWARDEN_GUEST_DIR'] === undefined
      ? [await tried('guest state', () => examineSnapshot(options))]
      : []),
    await examineDisk(paths, images.guest === undefined || !images.workloadBuilt),
    judgeMemory(await readFile('/proc/meminfo', 'utf8')),
    uid === 0 ? await tried('leftovers', () => examineLeftovers(paths)) : unseen('leftovers'),
  ];
}

const unseen = (what: string): Finding => warn(what, 'not looked at: that needs root');

/** A user that nobody else is, below those of sandboxes. */
const trialUser = { uid: 1_899_999_998, gid: 1_899_999_998 } as const;

async function tried(what: string, body: () => Promise<Finding>): Promise<Finding> {
  try {
    return await body();
  } catch (error) {
    return judgeFailure(what, error);
  }
}

async function findPrograms(path: string): Promise<readonly FoundProgram[]> {
  const find = async (name: ProgramName): Promise<string | undefined> => {
    try {
      return await findProgram(name, path);
    } catch (error) {
      if (isTapwardenError(error, 'PROGRAM_MISSING')) return undefined;
      throw error;
    }
  };
  const names = Object.keys(programPackages) as ProgramName[];
  return await Promise.all(names.map(async (name) => ({ name, path: await find(name) })));
}

async function examineQemu(run: Run): Promise<Finding> {
  const version = await run(['qemu-system-x86_64', '--version']);
  const machines = await run(['qemu-system-x86_64', '-machine', 'help']);
  return judgeQemu(version.stdout, machines.stdout);
}

/** What the host's kernel must do for a slot, each tried as a slot does it. */
async function examineKernel(run: Run): Promise<readonly Finding[]> {
  const scratch = ['unshare', '--net', '--'] as const;
  const withTap = [...scratch, 'sh', '-euc', 'ip tuntap add dev tap0 mode tap; exec "$@"', 'sh'];
  const tun = await tried('tun', async () => {
    await run([...scratch, 'sh', '-euc', 'ip tuntap add dev tap0 mode tap; ip tuntap del dev tap0 mode tap']);
    return ok('tun', 'a TAP device can be made');
  });
  const features = await probeFeatures({ run, enter: scratch }).then(judgeFeatures, (error: unknown) => [
    judgeFailure('nft', error),
  ]);
  const table = await tried('slot table', async () => {
    await checkRuleset({ run, enter: withTap }, framesRuleset());
    await checkRuleset({ run, enter: withTap }, slotRuleset([]));
    return ok('slot table', 'nft and the kernel take it');
  });
  const confinement = await tried('confinement', async () => {
    const program = confined(trialUser, ['tun'], ['cat', '/proc/self/status']);
    const { stdout } = await run(['unshare', '--mount', '--net', '--', ...program]);
    const confinedWell = /^CapEff:\t0+$/m.test(stdout) && new RegExp(`^Uid:\t${trialUser.uid}\t`, 'm').test(stdout);
    return confinedWell
      ? ok('confinement', 'QEMU can run as a user of its own, without capabilities')
      : missing('confinement', 'a confined program keeps capabilities', 'Look whether a security module interferes.');
  });
  const hint = 'Load the module: modprobe tun. In a container, give it /dev/net/tun and CAP_NET_ADMIN.';
  return [tun.level === 'ok' ? tun : { ...tun, todo: hint }, ...features, table, confinement];
}

type Images = {
  readonly guest: GuestImage | undefined;
  readonly workloadBuilt: boolean;
  readonly findings: readonly Finding[];
};

const noImages = { guest: undefined, workloadBuilt: false } as const;

async function examineImages(options: ExamineOptions): Promise<Images> {
  const { paths, run, mayBuild, onProgress } = options;
  const { stateDir } = paths;
  const findings: Finding[] = [];
  let guest: GuestImage | undefined;
  let workloadBuilt = false;
  try {
    const guestDir = options.env['TAPWARDEN_GUEST_DIR'];
    guest = await findGuest({ stateDir, run, onProgress, mayBuild, ...(guestDir === undefined ? {} : { guestDir }) });
    findings.push(ok('guest image', `${guest.root}, with kernel ${guest.kernelRelease}`));
  } catch (error) {
    findings.push(...notThere('guest image', error, 'a few seconds'));
    findings.push(await tried('guest kernel', () => examineKernelPackage(run)));
  }
  try {
    const image = await ensureWorkloadImage({ stateDir, name: 'default', run, onProgress, mayBuild });
    workloadBuilt = true;
    findings.push(ok('workload image', image.path));
  } catch (error) {
    findings.push(...notThere('workload image', error, 'about half a minute'));
  }
  return { guest, workloadBuilt, findings };
}

/** An image that is not built is no failure: the first run builds it. */
function notThere(what: string, error: unknown, takes: string): readonly Finding[] {
  // What the host lacks for it is among the programs already.
  if (isTapwardenError(error, 'PROGRAM_MISSING')) return [];
  if (!isTapwardenError(error, 'IMAGE_NOT_FOUND')) return [judgeFailure(what, error)];
  const todo = `The first run builds it, which takes ${takes}; so does 'tapwarden doctor --build'.`;
  return [warn(what, 'not built yet', todo)];
}

/** Whether apt knows the package from which the guest's kernel is taken. */
async function examineKernelPackage(run: Run): Promise<Finding> {
  const shown = await run(['apt-cache', 'show', '--no-all-versions', 'linux-image-cloud-amd64'], {
    okStatuses: [0, 100],
  });
  const { name, version } = parseKernelPackage(shown.stdout);
  return ok('guest kernel', `apt has ${name} ${version}`);
}

async function examineAccelerator(options: ExamineOptions, guest: GuestImage | undefined): Promise<Finding> {
  if (options.uid !== 0) return unseen('kvm');
  if (guest === undefined) {
    return warn('kvm', 'not looked at: that takes the boot of a guest, and the guest image is not built yet');
  }
  return await tried('kvm', async () => {
    const tscKhz = parseTscKhz(await readFile('/proc/cpuinfo', 'utf8')) ?? 1_000_000;
    const { stateDir } = options.paths;
    return judgeAccelerator(await chooseAccelerator({ stateDir, guest, tscKhz, onProgress: options.onProgress }));
  });
}

/** What a machine needs whose images are built: room for event logs. */
const neededWhenBuilt = 64 * 1024 ** 2;

async function examineDisk({ stateDir }: Paths, mustBuild: boolean): Promise<Finding> {
  const folder = await existing(stateDir);
  const { bavail, bsize } = await statfs(folder);
  return judgeDisk(folder, bavail * bsize, mustBuild ? neededBytes : neededWhenBuilt);
}

/** The first folder upwards that is there. */
async function existing(folder: string): Promise<string> {
  const found = await access(folder).then(
    () => true,
    () => false,
  );
  return found || folder === '/' ? folder : await existing(dirname(folder));
}

async function examineLeftovers(paths: Paths): Promise<Finding> {
  const alive: string[] = [];
  const dead: string[] = [];
  for (const { name, record } of await listSandboxes(paths)) {
    (record !== undefined && (await isOwned(record)) ? alive : dead).push(name);
  }
  return judgeLeftovers(alive, dead);
}
