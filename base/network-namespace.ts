import { closeSync, openSync } from 'node:fs';
import { constants } from 'node:os';
import { getSystemErrorName } from 'node:util';
import { messageOf, TapwardenError } from './errors.ts';
import { loadLibc } from './libc.ts';

/** Where the kernel says in which network namespace the calling thread stands. */
const ownNamespace = '/proc/thread-self/ns/net';
/** Which kind of namespace the descriptor must be of. Source: include/uapi/linux/sched.h. */
const cloneNewNet = 0x4000_0000;

/**
 * Calls `body` while this thread stands in another network namespace, and returns what it returns. A socket that `body`
 * opens belongs to that namespace for good, wherever it is used later; so no program need be started just to stand there.
 *
 * `body` is synchronous: what it leaves for later goes on in our own namespace. While it runs nothing else of this thread
 * does, and no other thread is moved. A netlink socket is opened at once, and so is that of a server which listens at a port
 * without an address; `net.connect` opens its socket a tick later, and `listen` at an address too, which is too late.
 *
 * A thread that does not find its way back would go on in the wrong network, so the process ends.
 *
 * The foreign function library is loaded by the first call: under emulation that takes a while.
 *
 * @param path a name that the namespace is bound to. Example: `/run/netns/workload`
 * @throws NAMESPACE_FAILED when it cannot be entered: it is not there, is none, or the process lacks CAP_SYS_ADMIN
 * Source: setns(2).
 */
export async function inNetworkNamespace<T>(path: string, body: () => T): Promise<T> {
  const setns = await loadSetns();
  const own = openSync(ownNamespace, 'r');
  try {
    const other = openNamespace(path);
    try {
      const errno = setns(other);
      if (errno !== 0) throw refused(path, getSystemErrorName(-errno));
    } finally {
      closeSync(other);
    }
    try {
      return body();
    } finally {
      if (setns(own) !== 0) process.kill(process.pid, 'SIGKILL');
    }
  } finally {
    closeSync(own);
  }
}

/**
 * Makes a network namespace that has nothing but `lo`, which is down, and calls `body` with a path by which it can be entered,
 * here and by programs of root. It has no name elsewhere, so nothing of it stays, whatever becomes of this process.
 *
 * @throws NAMESPACE_FAILED when it cannot be made: the process lacks CAP_SYS_ADMIN
 * Source: unshare(2).
 */
export async function inScratchNamespace<T>(body: (path: string) => Promise<T>): Promise<T> {
  const setns = await loadSetns();
  const unshare = await loadUnshare();
  const own = openSync(ownNamespace, 'r');
  let scratch: number;
  try {
    const errno = unshare();
    if (errno !== 0) throw refused('of its own', getSystemErrorName(-errno));
    try {
      scratch = openSync(ownNamespace, 'r');
    } finally {
      if (setns(own) !== 0) process.kill(process.pid, 'SIGKILL');
    }
  } finally {
    closeSync(own);
  }
  try {
    return await body(`/proc/${process.pid}/fd/${scratch}`);
  } finally {
    closeSync(scratch);
  }
}

/** Moves this thread to a network namespace: 0, or why not. */
async function loadSetns(): Promise<(fd: number) => number> {
  const libc = await loadLibc();
  const setns = libc.func('int setns(int fd, int type)') as (fd: number, type: number) => number;
  return (fd) => (setns(fd, cloneNewNet) === 0 ? 0 : libc.errno() || constants.errno.EINVAL);
}

/** Moves this thread to a network namespace of its own: 0, or why not. */
async function loadUnshare(): Promise<() => number> {
  const libc = await loadLibc();
  const unshare = libc.func('int unshare(int flags)') as (flags: number) => number;
  return () => (unshare(cloneNewNet) === 0 ? 0 : libc.errno() || constants.errno.EINVAL);
}

function openNamespace(path: string): number {
  try {
    return openSync(path, 'r');
  } catch (cause) {
    throw refused(path, messageOf(cause), cause);
  }
}

function refused(path: string, reason: string, cause?: unknown): TapwardenError {
  return new TapwardenError('NAMESPACE_FAILED', {
    message: `Cannot enter the network namespace '${path}': ${reason}`,
    details: { path },
    cause,
  });
}
