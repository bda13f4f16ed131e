import { constants } from 'node:os';
import { getSystemErrorName } from 'node:util';
import { loadLibc } from './libc.ts';

/** LOCK_EX | LOCK_NB. Source: flock(2). */
const exclusiveAtOnce = 2 | 4;

/** Takes a lock on open files of this process. Example: `flock(fd)` is false while somebody else has it. */
export type Flock = (fd: number) => boolean;

/**
 * flock(2), which Node lacks. The lock belongs to the open file: it ends when that is closed, and so with this process,
 * however that ends. By a foreign function, since a program that does the same costs a run 10 ms each time.
 *
 * The function throws an Error with the errno for what cannot be locked.
 */
export async function loadFlock(): Promise<Flock> {
  const libc = await loadLibc();
  const flock = libc.func('int flock(int, int)') as (fd: number, operation: number) => number;
  return (fd) => {
    if (flock(fd, exclusiveAtOnce) === 0) return true;
    const errno = libc.errno();
    if (errno === constants.errno.EWOULDBLOCK || errno === constants.errno.EINTR) return false;
    throw new Error(`flock: ${getSystemErrorName(-errno)}`);
  };
}
