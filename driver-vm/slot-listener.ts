import { createServer } from 'node:net';

/**
 * A program of its own, run inside a slot: listens on the address and port of its arguments, hands the listening socket
 * to the process that started it, and ends. The socket stays bound in the slot although no process is left in it.
 */
const [address, port] = process.argv.slice(2);
const server = createServer();
server.once('error', (error: NodeJS.ErrnoException) => {
  process.send?.({ kind: 'error', errno: error.code ?? 'unknown' }, undefined, {}, () => process.exit(1));
});
server.listen({ host: address, port: Number(port), backlog: 511 }, () => {
  process.send?.({ kind: 'listening' }, server, {}, () => process.exit(0));
});
