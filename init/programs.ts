import { constants } from 'node:fs';
import { access, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { TapwardenError } from '../base/errors.ts';

/** The Debian package of each program of the host that goes into an image, builds one, or runs a guest. */
export const programPackages = {
  nft: 'nftables',
  ip: 'iproute2',
  bwrap: 'bubblewrap',
  setpriv: 'util-linux',
  nsenter: 'util-linux',
  busybox: 'busybox-static',
  ldd: 'libc-bin',
  'mkfs.ext4': 'e2fsprogs',
  'apt-get': 'apt',
  'apt-cache': 'apt',
  'dpkg-deb': 'dpkg',
  xz: 'xz-utils',
  mmdebstrap: 'mmdebstrap',
  unshare: 'util-linux',
  'qemu-system-x86_64': 'qemu-system-x86',
} as const satisfies Readonly<Record<string, string>>;

/** A program of {@link programPackages}. */
export type ProgramName = keyof typeof programPackages;

/**
 * The real path of `name`, searched in `path` (as in `$PATH`) and then where Debian keeps the programs of root, which
 * many users' `$PATH` leaves out. Example: `/usr/sbin/nft`.
 *
 * @throws PROGRAM_MISSING with the Debian package to install
 */
export async function findProgram(name: ProgramName, path: string): Promise<string> {
  const directories = [...path.split(':').filter((part) => part.startsWith('/')), '/usr/sbin', '/sbin'];
  for (const directory of directories) {
    const file = join(directory, name);
    const found = await access(file, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (found) return await realpath(file);
  }
  throw new TapwardenError('PROGRAM_MISSING', {
    message: `The program '${name}' is not installed`,
    hint: `Install it: apt-get install ${programPackages[name]}`,
    details: { program: name, package: programPackages[name] },
  });
}
