import { readFileSync, writeFileSync } from 'node:fs';
// The raw socket alone: the package's index loads much that is not needed, and this runs under emulation.
import { RawNetlinkSocket } from 'netlink/dist/raw.js';

/**
 * The package's socket, but for its end: one that is closed while it tells of a message makes its native module break off the
 * process, as it goes on with what is gone. A promise that a message settles is enough for that, since what awaits it runs then.
 */
export class NetlinkSocket extends RawNetlinkSocket {
  #closed = false;

  /** From here on nothing is told of, and nothing can be sent. */
  override close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.removeAllListeners();
    this.on('error', () => undefined);
    setImmediate(() => super.close());
  }

  /** @throws Error when the socket is closed */
  override send(...args: Parameters<RawNetlinkSocket['send']>): void {
    if (this.#closed) throw new Error('The netlink socket is closed');
    super.send(...args);
  }
}

/** The kernel's families of netlink sockets that are used here. Source: include/uapi/linux/netlink.h. */
export const netlinkProtocols = { socketDiag: 4, audit: 9, connector: 11, netfilter: 12 } as const;

/** Sizes are in bytes. */
export type NetlinkSocketOptions = {
  /** Room for one datagram of the kernel. @default 65536 */
  readonly datagramBytes?: number;
  /** Room for those that wait to be read. @default 262144 */
  readonly bufferBytes?: number;
  /** Groups to listen to from the beginning, as a mask. @default 0 */
  readonly groups?: number;
};

/** Room for what is sent at once; the kernel gives as much as the machine's setting allows, twice. */
const sendBytes = 1_048_576;
const bufferLimit = '/proc/sys/net/core/rmem_max';

/**
 * Opens a netlink socket in the network namespace in which this process stands. The room for what waits is capped by a
 * setting of the machine, which is raised for the moment in which the socket is opened, where it can be.
 *
 * Not by `base/index.ts`, for it loads a native module. Source: netlink(7), socket(7).
 *
 * @throws Error with `code` EPROTONOSUPPORT where the kernel has no such family
 */
export function openNetlinkSocket(protocol: number, options: NetlinkSocketOptions = {}): NetlinkSocket {
  const { datagramBytes = 65_536, bufferBytes = 262_144, groups = 0 } = options;
  return withBufferLimit(
    bufferBytes,
    () =>
      new NetlinkSocket(protocol, {
        messagePeeking: false,
        msgBufferSize: datagramBytes,
        recvBufferSize: bufferBytes,
        sendBufferSize: sendBytes,
        localGroups: groups,
      }),
  );
}

/** Runs `body` while sockets may have a buffer of that many bytes. Where the setting cannot be changed, it stays. */
function withBufferLimit<T>(bytes: number, body: () => T): T {
  let found: string | undefined;
  try {
    found = readFileSync(bufferLimit, 'utf8');
    if (Number(found) < bytes) writeFileSync(bufferLimit, String(bytes));
    else found = undefined;
  } catch {
    found = undefined;
  }
  try {
    return body();
  } finally {
    if (found !== undefined) writeFileSync(bufferLimit, found);
  }
}
