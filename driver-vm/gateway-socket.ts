import { Server } from 'node:net';
import { constants } from 'node:os';
import { getSystemErrorName } from 'node:util';
import { inNetworkNamespace, loadLibc, messageOf, TapwardenError } from '../base/index.ts';
import { link } from '../init/index.ts';
import type { Slot } from './slot.ts';

/** Linux's numbers. Source: socket(2), include/linux/socket.h, include/linux/net.h. */
const inet = 2;
const streamSocket = 1 | 0o4000 | 0o2000000;
const [socketLevel, reuseAddress] = [1, 2];
const backlog = 511;

/**
 * Makes the gateway's listening socket inside the slot. The slot has no other way to the host, and the gateway no
 * other way to the slot: it answers there, and dials out from the root namespace.
 *
 * @throws PORT_IN_USE when the slot has the port in use
 * @throws SLOT_FAILED when the socket cannot be made for another reason
 */
export async function openGatewaySocket(slot: Slot): Promise<Server> {
  const calls = await loadCalls();
  const { fd, errno } = await enter(slot, () => calls.listen(link.hostIpv4, link.gatewayPort));
  if (errno !== 0) {
    throw new TapwardenError(errno === constants.errno.EADDRINUSE ? 'PORT_IN_USE' : 'SLOT_FAILED', {
      message: `The gateway cannot listen on ${link.hostIpv4}:${link.gatewayPort} in ${slot.namespace}: ${getSystemErrorName(-errno)}`,
    });
  }
  const server = new Server();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ fd }, resolve);
  });
  return server;
}

async function enter<T>(slot: Slot, body: () => T): Promise<T> {
  try {
    return await inNetworkNamespace(slot.path, body);
  } catch (cause) {
    throw new TapwardenError('SLOT_FAILED', {
      message: `The gateway's socket could not be made in ${slot.namespace}: ${messageOf(cause)}`,
      cause,
    });
  }
}

/** A listening socket; `errno` is 0, or why there is none. */
type Listening = { readonly fd: number; readonly errno: number };
type Calls = { readonly listen: (address: string, port: number) => Listening };

/** Node makes a socket that listens on an address a tick later, when the process stands in its own namespace again. */
async function loadCalls(): Promise<Calls> {
  const libc = await loadLibc();
  const socket = libc.func('int socket(int, int, int)');
  const setOption = libc.func('int setsockopt(int, int, int, const void *, unsigned int)');
  const bind = libc.func('int bind(int, const void *, unsigned int)');
  const listen = libc.func('int listen(int, int)');
  const close = libc.func('int close(int)');
  return {
    listen: (address, port) => {
      const fd: number = socket(inet, streamSocket, 0);
      if (fd < 0) return { fd, errno: libc.errno() };
      const end = socketAddress(address, port);
      const done =
        setOption(fd, socketLevel, reuseAddress, Buffer.from([1, 0, 0, 0]), 4) === 0 &&
        bind(fd, end, end.length) === 0 &&
        listen(fd, backlog) === 0;
      if (done) return { fd, errno: 0 };
      const errno = libc.errno();
      close(fd);
      return { fd: -1, errno };
    },
  };
}

/** struct sockaddr_in. Source: ip(7). */
function socketAddress(address: string, port: number): Buffer {
  const end = Buffer.alloc(16);
  end.writeUInt16LE(inet, 0);
  end.writeUInt16BE(port, 2);
  Buffer.from(address.split('.').map(Number)).copy(end, 4);
  return end;
}
