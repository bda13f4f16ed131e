import { constants } from 'node:os';
import { getSystemErrorName } from 'node:util';
import { loadLibc } from './libc.ts';

/** Flags of a mount. Source: include/uapi/linux/mount.h. */
export const mountFlags = {
  readOnly: 1,
  noSetuid: 2,
  noDevices: 4,
  noExec: 8,
  remount: 32,
  bind: 4096,
  recursive: 16_384,
} as const;

/** A mount as mount(2) takes it. */
export type Mount = {
  /** What is mounted: a device, a folder to bind, or a word where the kind has none. */
  readonly source: string;
  readonly target: string;
  /** Example: `tmpfs`; absent for a bind or a change. */
  readonly type?: string;
  /** Of {@link mountFlags}. */
  readonly flags?: readonly (keyof typeof mountFlags)[];
  /** Options of the kind. Example: `mode=0755,size=64m`. */
  readonly options?: string;
};

/** Mounts, in the mount namespace of this process, and takes away. Each throws with what failed and the error's name. */
export type Mounter = {
  readonly mount: (mount: Mount) => void;
  /** Takes a mount away from the tree at once, and for good when nobody uses it any more. */
  readonly detach: (target: string) => void;
};

/** MNT_DETACH. Source: include/linux/fs.h, umount2(2). */
const detachFlag = 2;

/**
 * Gives mount(2) and umount2(2) without a process for each, of which a host takes milliseconds to start one, and an emulated
 * guest tens of them.
 *
 * Source: mount(2), umount2(2).
 */
export async function loadMounter(): Promise<Mounter> {
  const libc = await loadLibc();
  const mount = libc.func('int mount(const char *, const char *, const char *, unsigned long, const char *)');
  const umount = libc.func('int umount2(const char *, int)');
  const check = (result: number, what: string): void => {
    if (result === 0) return;
    throw new Error(`${what}: ${getSystemErrorName(-(libc.errno() || constants.errno.EINVAL))}`);
  };
  return {
    mount: ({ source, target, type, flags = [], options }) => {
      const bits = flags.reduce((sum, flag) => sum | mountFlags[flag], 0);
      check(
        mount(source, target, type ?? null, bits, options ?? null),
        `mount ${type ?? flags.join(',')} on ${target}`,
      );
    },
    detach: (target) => check(umount(target, detachFlag), `umount ${target}`),
  };
}
