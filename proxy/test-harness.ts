import { once } from 'node:events';
import { createServer as createHttpServer, type RequestListener } from 'node:http';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import type { Writable } from 'node:stream';
import type { ExecutionContext } from 'ava';
import { createDirectDial } from './direct-dial.ts';
import type { Closed, Invalid, Outcome, ProxyOptions, ProxyServer, Upstream } from './model.ts';
import { createProxy } from './server.ts';

/** Everything that a proxy under test told its caller. */
export type Told = {
  readonly outcomes: Outcome[];
  readonly closed: Closed[];
  readonly invalid: Invalid[];
  readonly internal: unknown[];
};

/** A proxy under test. */
export type TestProxy = { readonly proxy: ProxyServer; readonly port: number; readonly told: Told };

/** Names that tests use resolve to the loopback address, as a resolver would answer. */
export const loopbackDial: Upstream = {
  kind: 'direct',
  dial: createDirectDial({
    resolve: async (host) => (host === 'nowhere.test' ? [] : ['127.0.0.1']),
    checkAddress: (address) =>
      address === '127.0.0.66'
        ? { kind: 'deny', code: 'ADDRESS_FORBIDDEN', reason: 'It is forbidden', hint: 'Do not' }
        : { kind: 'allow' },
    connectTimeoutMs: 1000,
  }),
};

/** Starts a proxy on the loopback address that allows every host but `denied.test`, and closes it after the test. */
export async function startProxy(t: ExecutionContext, options: Partial<ProxyOptions> = {}): Promise<TestProxy> {
  const told: Told = { outcomes: [], closed: [], invalid: [], internal: [] };
  const proxy = createProxy({
    name: 'gateway',
    upstream: loopbackDial,
    decide: ({ host }) =>
      host === 'denied.test'
        ? { kind: 'deny', code: 'HOST_NOT_ALLOWED', reason: 'No rule allows it', hint: 'Add one' }
        : { kind: 'allow', rule: 'test-rule' },
    onOutcome: (outcome) => told.outcomes.push(outcome),
    onClose: (closed) => told.closed.push(closed),
    onInvalid: (invalid) => told.invalid.push(invalid),
    onInternalError: (thrown) => told.internal.push(thrown),
    ...options,
  });
  t.teardown(proxy.close);
  const { port } = await proxy.listen({ kind: 'address', host: '127.0.0.1', port: 0 });
  return { proxy, port, told };
}

/** Starts a TCP server that gives each connection to `serve`, and returns its port. */
export async function startTcp(
  t: ExecutionContext,
  serve: (socket: Socket) => void,
  host = '127.0.0.1',
): Promise<number> {
  return await listen(
    t,
    createServer({ allowHalfOpen: true }, (socket) => {
      socket.on('error', () => undefined);
      serve(socket);
    }),
    host,
  );
}

/** Starts an HTTP server and returns its port. */
export async function startHttp(t: ExecutionContext, serve: RequestListener): Promise<number> {
  return await listen(t, createHttpServer({ requireHostHeader: false }, serve), '127.0.0.1');
}

/** Opens a connection that tolerates errors and is destroyed after the test. */
export async function open(t: ExecutionContext, port: number): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true });
  socket.on('error', () => undefined);
  t.teardown(() => socket.destroy());
  await once(socket, 'connect');
  return socket;
}

/** Sends `bytes` (latin1) and returns all that comes until the other side ends or breaks off. */
export async function talk(t: ExecutionContext, port: number, bytes: string): Promise<string> {
  const socket = await open(t, port);
  socket.write(bytes, 'latin1');
  return await readAll(socket);
}

/** All that comes on `socket` until it ends or breaks off. */
export async function readAll(socket: Socket): Promise<string> {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  await new Promise<void>((resolve) => socket.once('end', resolve).once('close', () => resolve()));
  return Buffer.concat(chunks).toString('latin1');
}

/** What comes on `socket` until it holds `text`. */
export async function readUntil(socket: Socket, text: string): Promise<string> {
  let read = '';
  return await new Promise((resolve, reject) => {
    const onClose = (): void => reject(new Error(`closed after '${read}'`));
    const onData = (chunk: Buffer): void => {
      read += chunk.toString('latin1');
      if (!read.includes(text)) return;
      socket.removeListener('data', onData).removeListener('close', onClose);
      resolve(read);
    };
    socket.on('data', onData).once('close', onClose);
  });
}

/** Writes to `sender` until it is not drained for a while, which is far below 256 MB where nobody reads. */
export async function isHeldBack(sender: Writable): Promise<boolean> {
  const block = Buffer.alloc(64 * 1024);
  for (let sent = 0; sent < 256 * 1024 * 1024; sent += block.length) {
    if (sender.write(block)) continue;
    const drained = once(sender, 'drain').then(() => true);
    const pause = new Promise<boolean>((resolve) => setTimeout(() => resolve(false), 400));
    if (!(await Promise.race([drained, pause]))) return true;
  }
  return false;
}

/** Waits until `condition` holds, for two seconds at most. */
export async function until(condition: () => boolean): Promise<void> {
  for (let tries = 0; tries < 200 && !condition(); tries += 1) await new Promise((resolve) => setTimeout(resolve, 10));
  if (!condition()) throw new Error('The condition did not come true');
}

/** The `error` of the JSON body in the raw response `text`. */
export function errorOf(text: string): Readonly<Record<string, unknown>> {
  return JSON.parse(text.slice(text.indexOf('\r\n\r\n') + 4)).error;
}

async function listen(t: ExecutionContext, server: Server, host: string): Promise<number> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  server.listen(0, host);
  await once(server, 'listening');
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}
