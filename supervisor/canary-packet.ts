import { readFileSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { getSystemErrorName } from 'node:util';
import { inNetworkNamespace, loadLibc } from '../base/index.ts';

/** A packet that the fence must refuse. */
export type Canary = {
  readonly protocol: 'tcp' | 'udp';
  /** In the short form that the kernel log's parser gives. */
  readonly address: string;
  readonly port: number;
};

/** What became of a canary: the error that its sender got, or that it got none. */
export type CanaryOutcome = 'refused' | 'not-refused';

/** Linux's numbers. Source: include/linux/socket.h, include/linux/net.h, include/uapi/asm-generic/socket.h. */
const [inet, inet6] = [2, 10];
const types = { tcp: 1, udp: 2 } as const;
const nonBlocking = 0o4000;
const closeOnExec = 0o2000000;
const [socketLevel, socketError] = [1, 4];

/**
 * Sends one packet from a network namespace, by a socket of this process: a TCP connect that does not wait, or a datagram.
 * The fence refuses both in the very system call.
 *
 * With `cgroup`, the directory of one of cgroup v2, the socket is one of that cgroup: the process joins it for the moment in
 * which the socket is made, and goes back.
 *
 * @throws NAMESPACE_FAILED when the namespace cannot be entered
 */
export async function sendCanary(namespace: string, canary: Canary, cgroup?: string): Promise<CanaryOutcome> {
  const calls = await loadCalls();
  return await inNetworkNamespace(namespace, () => {
    const socket = inCgroup(cgroup, () => calls.open(canary));
    try {
      return calls.send(socket, canary);
    } finally {
      calls.close(socket);
    }
  });
}

type Calls = {
  readonly open: (canary: Canary) => number;
  readonly send: (socket: number, canary: Canary) => CanaryOutcome;
  readonly close: (socket: number) => void;
};

async function loadCalls(): Promise<Calls> {
  const libc = await loadLibc();
  const socketOf = libc.func('int socket(int, int, int)');
  const connect = libc.func('int connect(int, const void *, unsigned int)');
  const send = libc.func('int64_t send(int, const void *, size_t, int)');
  const errorOf = libc.func('int getsockopt(int, int, int, void *, void *)');
  const close = libc.func('int close(int)');
  const refused = (errno: number): CanaryOutcome => (isRefusal(errno) ? 'refused' : 'not-refused');
  return {
    open: ({ protocol, address }) => {
      const family = address.includes(':') ? inet6 : inet;
      const socket: number = socketOf(family, types[protocol] | nonBlocking | closeOnExec, 0);
      if (socket < 0) throw new Error(`socket: ${getSystemErrorName(-libc.errno())}`);
      return socket;
    },
    send: (socket, { protocol, address, port }) => {
      const end = socketAddress(address, port);
      const errno = connect(socket, end, end.length) === 0 ? 0 : libc.errno();
      if (protocol === 'udp') return refused(send(socket, Buffer.from('canary'), 6, 0) < 0 ? libc.errno() : 0);
      if (errno !== constants.errno.EINPROGRESS) return refused(errno);
      // The reset came over lo before the call returned.
      const [value, size] = [Buffer.alloc(4), Buffer.from([4, 0, 0, 0])];
      errorOf(socket, socketLevel, socketError, value, size);
      return refused(value.readInt32LE(0));
    },
    close: (socket) => void close(socket),
  };
}

function isRefusal(errno: number): boolean {
  const { ECONNREFUSED, EPERM, EACCES } = constants.errno;
  return errno === ECONNREFUSED || errno === EPERM || errno === EACCES;
}

/** struct sockaddr_in or sockaddr_in6. */
function socketAddress(address: string, port: number): Buffer {
  const isIp6 = address.includes(':');
  const end = Buffer.alloc(isIp6 ? 28 : 16);
  end.writeUInt16LE(isIp6 ? inet6 : inet, 0);
  end.writeUInt16BE(port, 2);
  if (isIp6) ip6Bytes(address).copy(end, 8);
  else Buffer.from(address.split('.').map(Number)).copy(end, 4);
  return end;
}

/** The sixteen bytes of an address that has `::` in it. */
export function ip6Bytes(address: string): Buffer {
  const [head = '', tail = ''] = address
    .split('::')
    .map((half) => half.split(':').filter((part) => part !== ''))
    .map((parts) => parts.map((part) => part.padStart(4, '0')).join(''));
  return Buffer.from(head + '0'.repeat(32 - head.length - tail.length) + tail, 'hex');
}

/**
 * Calls `body` while this process is in a cgroup, or, where it cannot be there, where it is: then the packet has no mark, and
 * that is seen.
 */
function inCgroup<T>(cgroup: string | undefined, body: () => T): T {
  if (cgroup === undefined) return body();
  const own = ownCgroup();
  if (own === undefined || !join(cgroup)) return body();
  try {
    return body();
  } finally {
    writeFileSync(`${own}/cgroup.procs`, '0');
  }
}

function join(cgroup: string): boolean {
  try {
    writeFileSync(`${cgroup}/cgroup.procs`, '0');
    return true;
  } catch {
    return false;
  }
}

/** The directory of the cgroup v2 that this process is in; `undefined` where there is none. */
function ownCgroup(): string | undefined {
  const path = /^0::(\/.*)$/m.exec(readFileSync('/proc/self/cgroup', 'utf8'))?.[1] ?? '/';
  const mounts = readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' '));
  // The last one is on top.
  const root = mounts.findLast(
    ([, where, type]) => type === 'cgroup2' && where?.startsWith('/sys/fs/cgroup') === true,
  )?.[1];
  return root === undefined ? undefined : `${root}${path === '/' ? '' : path}`;
}
