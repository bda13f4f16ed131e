import { createServer as createHttpServer, type IncomingMessage } from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from 'node:net';

/** A request that arrived at an upstream. */
export type ArrivedRequest = {
  readonly method: string;
  readonly url: string;
  readonly host: string;
  readonly headers: readonly string[];
  readonly body: string;
};

/** A server on this machine's 127.0.0.1, for requests that a policy allows. */
export type Upstream = { readonly port: number; readonly close: () => Promise<void> };

/** An HTTP server that answers each request with `hello from HOST PATH`, and notes what arrived. */
export async function startHttpUpstream(): Promise<Upstream & { readonly arrived: readonly ArrivedRequest[] }> {
  const arrived: ArrivedRequest[] = [];
  const server = createHttpServer((request, response) => {
    void bodyOf(request).then((body) => {
      const { method = '', url = '', headers, rawHeaders } = request;
      arrived.push({ method, url, host: headers.host ?? '', headers: rawHeaders, body });
      response.end(`hello from ${headers.host} ${url}\n`);
    });
  });
  return { ...(await listening(server)), arrived };
}

/** A TCP server that sends back what it gets, in capitals, until the other side ends. */
export async function startEchoUpstream(): Promise<Upstream> {
  return await listening(
    createTcpServer({ allowHalfOpen: true }, (socket) => {
      socket.on('data', (piece: Buffer) => socket.write(piece.toString('latin1').toUpperCase(), 'latin1'));
      socket.on('end', () => socket.end());
      socket.on('error', () => socket.destroy());
    }),
  );
}

/** A port of 127.0.0.1 on which nobody listens. */
export async function closedPort(): Promise<number> {
  const { port, close } = await listening(createTcpServer());
  await close();
  return port;
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of request) pieces.push(piece as Buffer);
  return Buffer.concat(pieces).toString('utf8');
}

async function listening(server: Server): Promise<Upstream> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: async () =>
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}
