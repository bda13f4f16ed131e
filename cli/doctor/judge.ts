import { isTapwardenError, messageOf } from '../../base/index.ts';
import type { AcceleratorChoice } from '../../driver-vm/index.ts';
import { type ProgramName, programPackages } from '../../init/index.ts';
import { type Feature, type Features, probes } from '../../nft/index.ts';
import { type Finding, missing, ok, warn } from './finding.ts';

/** Judges who runs tapwarden, by effective user id. */
export function judgeUser(uid: number | undefined): Finding {
  if (uid === 0) return ok('root', 'running as root');
  return missing('root', `running as user ${String(uid)}`, "Use sudo: 'sudo tapwarden doctor' also sees more.");
}

/** Judges Node and the machine. `wanted` is the package's `engines.node`, for example `>=20.20`. */
export function judgeNode(version: string, wanted: string, machine: string): readonly Finding[] {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const [wantedMajor = 0, wantedMinor = 0] = wanted.replace(/^>=/, '').split('.').map(Number);
  const fits = major > wantedMajor || (major === wantedMajor && minor >= wantedMinor);
  return [
    fits ? ok('node', version) : missing('node', version, `Install Node ${wanted}.`),
    machine === 'linux x64'
      ? ok('machine', machine)
      : missing('machine', machine, 'tapwarden runs on Linux on x64 processors, and nowhere else.'),
  ];
}

/** Where a program is; `undefined` where it is not installed. */
export type FoundProgram = { readonly name: ProgramName; readonly path: string | undefined };

/** Programs that only the building of images needs. Every other one is needed at each run. */
const builders: readonly ProgramName[] = ['ldd', 'mkfs.ext4', 'apt-get', 'apt-cache', 'dpkg-deb', 'xz', 'mmdebstrap'];

/** Judges the programs of the host: one finding when all are there, else one for each that is not. */
export function judgePrograms(programs: readonly FoundProgram[], imagesBuilt: boolean): readonly Finding[] {
  const lacking = programs.filter(({ path }) => path === undefined);
  if (lacking.length === 0) return [ok('programs', `all ${programs.length} are installed`)];
  return lacking.map(({ name }) => {
    const todo = `Install it: apt-get install ${programPackages[name]}`;
    return imagesBuilt && builders.includes(name)
      ? warn(name, 'not installed; needed when an image is built again', todo)
      : missing(name, 'not installed', todo);
  });
}

/** Judges QEMU from what `--version` and `-machine help` print. */
export function judgeQemu(version: string, machines: string): Finding {
  const name = version.split('\n')[0] ?? '';
  if (/^microvm\b/m.test(machines)) return ok('qemu', name);
  return missing('qemu', `${name}, without the machine 'microvm'`, 'Install a QEMU of version 4.2 or newer for x86.');
}

/** Features that the host needs for each slot. The rest of the fence is loaded in the guest, into its own kernel. */
const hostFeatures: readonly Feature[] = ['filter', 'counter'];
/** Features that the host needs for policies with direct rules. */
const directFeatures: readonly Feature[] = ['conntrack', 'masquerade'];

/** Judges what the host's kernel can do for nftables: a finding for each feature. */
export function judgeFeatures(features: Features): readonly Finding[] {
  return (Object.keys(features) as Feature[]).map((name) => {
    const { purpose } = probes[name];
    const what = `nft ${name}`;
    if (features[name]) return ok(what, purpose);
    if (hostFeatures.includes(name)) {
      return missing(what, `the kernel lacks it: ${purpose}`, 'Use a kernel with nf_tables and its inet family.');
    }
    return directFeatures.includes(name)
      ? warn(what, `the kernel lacks it: ${purpose}`, 'Policies with direct rules cannot be used.')
      : warn(what, `the host's kernel lacks it: ${purpose}. Guests have a kernel of their own; a jail needs it`);
  });
}

/** Judges how guests run. */
export function judgeAccelerator({ accelerator, reason }: AcceleratorChoice): Finding {
  if (accelerator === 'kvm') return ok('kvm', reason);
  return warn('kvm', `guests are emulated: ${reason}`, 'Emulation works, and a run takes some seconds longer.');
}

/** Judges the free space where images are kept, in bytes. */
export function judgeDisk(folder: string, freeBytes: number, neededBytes: number): Finding {
  const free = `${(freeBytes / 1024 ** 3).toFixed(1)} GiB free at ${folder}`;
  if (freeBytes >= neededBytes) return ok('disk', free);
  const todo = `Free some space, or name another folder in TAPWARDEN_STATE_DIR; ${Math.ceil(neededBytes / 1024 ** 2)} MiB are needed.`;
  return missing('disk', free, todo);
}

/** Judges the memory that a guest can have, from the text of /proc/meminfo. Source: proc_meminfo(5), MemAvailable. */
export function judgeMemory(meminfo: string): Finding {
  const kib = Number(/^MemAvailable:\s+(\d+) kB$/m.exec(meminfo)?.[1] ?? NaN);
  const found = `${Math.floor(kib / 1024)} MiB available`;
  if (Number.isNaN(kib)) return warn('memory', '/proc/meminfo does not say how much is available');
  if (kib >= 640 * 1024) return ok('memory', found);
  return warn('memory', found, 'A guest has 512 MiB by default, and QEMU some more: see --memory.');
}

/** Judges the run directory: sandboxes in use, and what killed ones left. */
export function judgeLeftovers(alive: readonly string[], dead: readonly string[]): Finding {
  if (dead.length === 0) return ok('leftovers', `none; sandboxes in use: ${alive.length}`);
  return warn('leftovers', `of ${dead.length} killed sandboxes: ${dead.slice(0, 5).join(', ')}`, "Run 'tapwarden gc'.");
}

/** The finding of a step that failed: what the error says, and its hint. */
export function judgeFailure(what: string, error: unknown): Finding {
  const [first = ''] = messageOf(error).split('\n');
  const hint = isTapwardenError(error) ? error.hint : undefined;
  return missing(what, first, hint?.split('\n')[0] ?? 'See the message above.');
}
