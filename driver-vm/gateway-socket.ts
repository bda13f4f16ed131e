import { Server } from 'node:net';
import { fileURLToPath } from 'node:url';
import { start, TapwardenError } from '../base/index.ts';
import { link } from '../init/index.ts';
import { inSlot, type Slot } from './slot.ts';

const listener = fileURLToPath(new URL('../driver-vm/slot-listener.js', import.meta.url));

/**
 * Makes the gateway's listening socket inside the slot. The slot has no other way to the host, and the gateway no
 * other way to the slot: it answers there, and dials out from the root namespace.
 *
 * @throws PORT_IN_USE when the slot has the port in use
 * @throws SLOT_FAILED when the socket cannot be made for another reason
 */
export async function openGatewaySocket(slot: Slot): Promise<Server> {
  const child = start(inSlot(slot, process.execPath, listener, link.hostIpv4, String(link.gatewayPort)), {
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  });
  return await new Promise<Server>((resolve, reject) => {
    child.process.on('message', (message, handle) => {
      if (handle instanceof Server) return resolve(handle);
      const errno = (message as { readonly errno?: string }).errno ?? 'unknown';
      reject(
        new TapwardenError(errno === 'EADDRINUSE' ? 'PORT_IN_USE' : 'SLOT_FAILED', {
          message: `The gateway cannot listen on ${link.hostIpv4}:${link.gatewayPort} in ${slot.namespace}: ${errno}`,
        }),
      );
    });
    void child.ended.then((ended) =>
      reject(
        new TapwardenError('SLOT_FAILED', {
          message: `The gateway's socket could not be made in ${slot.namespace}: its maker ended with status ${String(ended.status)}`,
          cause: ended.error,
        }),
      ),
    );
  });
}
