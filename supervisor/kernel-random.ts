import { closeSync, openSync, readSync } from 'node:fs';
import { constants } from 'node:os';
import { getSystemErrorName } from 'node:util';
import { loadLibc, TapwardenError } from '../base/index.ts';

/** Both are the same; a write needs no privilege, what follows does. */
const device = '/dev/urandom';

/** RNDADDENTROPY and RNDRESEEDCRNG. Source: include/uapi/linux/random.h, random(4). */
const addEntropy = 0x4008_5203;
const reseed = 0x5207;

/**
 * Makes the kernel's random numbers follow from `seed`, beside what it has, from the next one on.
 *
 * A guest that was restored would else have the numbers of every other that was: the same keys, the same addresses of programs.
 * Not by Node's own generator either, which lives in its memory: see {@link randomBelow}.
 *
 * @throws GUEST_SETUP_FAILED when the kernel does not take it
 * Source: random(4)
 */
export async function reseedKernel(seed: Buffer): Promise<void> {
  const libc = await loadLibc();
  const ioctl = libc.func('int ioctl(int, unsigned long, void *)');
  // struct rand_pool_info: bits of entropy, bytes that follow, and these.
  const info = Buffer.alloc(8 + seed.length);
  info.writeInt32LE(seed.length * 8, 0);
  info.writeInt32LE(seed.length, 4);
  seed.copy(info, 8);
  const fd = openSync(device, 'r+');
  try {
    for (const [request, argument] of [
      [addEntropy, info],
      [reseed, null],
    ] as const) {
      if (ioctl(fd, request, argument) !== 0) {
        throw new TapwardenError('GUEST_SETUP_FAILED', {
          message: `The kernel takes no seed: ioctl of ${device}: ${getSystemErrorName(-(libc.errno() || constants.errno.EINVAL))}`,
        });
      }
    }
  } finally {
    closeSync(fd);
  }
}

/** A number from 0 to `limit` - 1, which the kernel chose. `limit` is 1 to 2^16: then no number is noticeably likelier. */
export function randomBelow(limit: number): number {
  const bytes = Buffer.alloc(6);
  const fd = openSync(device, 'r');
  try {
    readSync(fd, bytes);
  } finally {
    closeSync(fd);
  }
  return bytes.readUIntLE(0, 6) % limit;
}
