import { lstatSync, readdirSync } from 'node:fs';
import { loadLibc } from './libc.ts';

/** `SOL_NETLINK` and `NETLINK_NO_ENOBUFS`. Source: include/linux/socket.h, include/uapi/linux/netlink.h. */
const netlinkLevel = 270;
const noOverrunErrors = 5;
const one = Buffer.from([1, 0, 0, 0]);

/** Calls `open`; of the netlink sockets that it opens none fails for want of room. */
export type OverrunGuard = <T>(open: () => T) => T;

/**
 * Gives a function that opens netlink sockets to which the kernel sends what it likes. One whose buffer is full would get
 * an error, which is an event of its own for poll(2); the package's native module breaks off the process on that. Without the
 * error the kernel drops what has no room: who reads has to find out by numbers or by a mark, and ours do.
 *
 * Source: netlink(7), NETLINK_NO_ENOBUFS.
 */
export async function loadOverrunGuard(): Promise<OverrunGuard> {
  const setsockopt = (await loadLibc()).func('int setsockopt(int, int, int, void *, uint32_t)');
  return (open) => {
    const before = new Set(openDescriptors());
    const opened = open();
    // The package does not tell which descriptors are its sockets. What is none, or another thread's, refuses the option.
    for (const fd of openDescriptors()) {
      if (!before.has(fd)) setsockopt(Number(fd), netlinkLevel, noOverrunErrors, one, one.length);
    }
    return opened;
  };
}

const folder = '/proc/self/fd';

/** Without that of the folder itself, which is closed by now, and whose number the next one has. */
function openDescriptors(): readonly string[] {
  return readdirSync(folder).filter((fd) => lstatSync(`${folder}/${fd}`, { throwIfNoEntry: false }) !== undefined);
}
