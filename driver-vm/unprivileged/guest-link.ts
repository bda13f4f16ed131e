import { chmodSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { messageOf, TapwardenError } from '../../base/index.ts';

/**
 * Listens on a unix socket for QEMU to connect to. The socket belongs to the group of its directory, which is QEMU's, and
 * nobody else can open it.
 *
 * @throws CHANNEL_CLOSED when the socket cannot be made
 */
export async function listenForVmm(path: string, onConnection: (socket: Socket) => void): Promise<Server> {
  const server = createServer(onConnection);
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) =>
      reject(new TapwardenError('CHANNEL_CLOSED', { message: `Cannot listen on ${path}: ${messageOf(cause)}`, cause })),
    );
    server.listen(path, () => resolve());
  });
  chmodSync(path, 0o660);
  return server;
}
