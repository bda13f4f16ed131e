import { access, constants, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { messageOf, type Run, TapwardenError } from '../base/index.ts';
import { ensureGuest, ensureWorkloadImage, type GuestImage, parseTscKhz, type WorkloadImage } from '../init/index.ts';
import { type AcceleratorChoice, chooseAccelerator, readVmmVersion } from './accelerator.ts';

/** What a virtual machine is booted from, and on. */
export type Machine = {
  readonly guest: GuestImage;
  readonly workload: WorkloadImage;
  readonly accelerator: AcceleratorChoice;
  /** The host's time-stamp counter in kHz. */
  readonly tscKhz: number;
  /** What QEMU says of itself. Example: `QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7)`. */
  readonly vmmVersion: string;
};

/** What {@link prepareMachine} works from. */
export type MachineOptions = {
  readonly stateDir: string;
  /** The workload image by name or path. @default 'default' */
  readonly image?: string;
  /** A folder with `vmlinux`, `initrd` and `root.ext4` to boot instead of the guest that belongs to this build. */
  readonly guestDir?: string;
  readonly run: Run;
  readonly onProgress: (line: string) => void;
};

/** The supervisor in one file, as the build makes it. */
export const supervisorBundle = fileURLToPath(new URL('../supervisor.cjs', import.meta.url));

/** A machine that does not say its rate gets this one: the guest's clock runs fast or slow, and the guest boots. */
const fallbackTscKhz = 1_000_000;

/**
 * Finds or builds the images, and finds out whether KVM works. When all is there this takes some tens of milliseconds;
 * the first time on a machine about a minute, with progress.
 *
 * @throws VMM_MISSING, VMM_FAILED when there is no QEMU, or none that runs
 * @throws IMAGE_NOT_FOUND, IMAGE_BUILD_FAILED, PROGRAM_MISSING, DISK_FULL, LOCK_TIMEOUT
 */
export async function prepareMachine(options: MachineOptions): Promise<Machine> {
  const { stateDir, run, onProgress } = options;
  // Before anything is built for it.
  const vmmVersion = await readVmmVersion(run);
  // The caller's own image first: a name that is wrong is said at once.
  const workload = await ensureWorkloadImage({ stateDir, name: options.image ?? 'default', run, onProgress });
  const guest = await findGuest(options);
  const tscKhz = parseTscKhz(await readFile('/proc/cpuinfo', 'utf8')) ?? fallbackTscKhz;
  const accelerator = await chooseAccelerator({ stateDir, guest, tscKhz, vmmVersion, onProgress });
  return { guest, workload, accelerator, tscKhz, vmmVersion };
}

/**
 * The guest of `guestDir`, or the one that belongs to this build. With `mayBuild: false` one that is not there is an error.
 *
 * @throws IMAGE_NOT_FOUND, and what `ensureGuest` throws
 */
export async function findGuest(
  options: Omit<MachineOptions, 'image'> & { readonly mayBuild?: boolean },
): Promise<GuestImage> {
  const { guestDir, ...rest } = options;
  if (guestDir === undefined) return await ensureGuest({ ...rest, supervisorBundle });
  const [kernel, initrd, root] = await Promise.all([
    existing(guestDir, 'vmlinux'),
    existing(guestDir, 'initrd'),
    existing(guestDir, 'root.ext4'),
  ]);
  return { hash: guestDir, directory: guestDir, kernel, initrd, root, kernelRelease: `of ${guestDir}` };
}

async function existing(folder: string, name: string): Promise<string> {
  const path = join(folder, name);
  try {
    await access(path, constants.R_OK);
    return path;
  } catch (cause) {
    throw new TapwardenError('IMAGE_NOT_FOUND', {
      message: `The guest in ${folder} has no readable ${name}: ${messageOf(cause)}`,
      hint: 'A guest is the three files vmlinux, initrd and root.ext4.',
      cause,
    });
  }
}
