import { createServer as createHttpServer, type Server as HttpServer, type RequestListener } from 'node:http';
import { createServer, type Server, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { errnoOf, messageOf, TapwardenError } from '../base/index.ts';
import { type Problem, problem } from './answer.ts';
import { Connection } from './connection.ts';
import { type Context, createContext } from './context.ts';
import type { ListenTarget, ProxyOptions, ProxyServer } from './model.ts';
import { serveConnect } from './serve-connect.ts';
import { serveHttp } from './serve-http.ts';

/** Connections beside `maxConnections` that may wait for the answer that there are too many. */
const maxOverflow = 64;

/**
 * Makes a forward proxy around a policy decision: CONNECT tunnels and absolute-form `http:` requests.
 * `docs/proxy.md` describes what it answers.
 *
 * Example: `createProxy({name: 'gateway', decide, upstream: {kind: 'direct', dial: createDirectDial(…)}})`.
 *
 * Source: RFC 9110, RFC 9112, RFC 9209.
 */
export function createProxy(options: ProxyOptions): ProxyServer {
  const context = createContext(options);
  const connections = new Map<Duplex, Connection>();
  const work = new Set<Promise<void>>();
  const http = createParser(context, connections, (connection, serving) => track(context, work, connection, serving));
  let listener: Server | undefined;
  let closing: Promise<void> | undefined;

  const accept = (socket: Socket): void => {
    const overflow = connections.size - context.limits.maxConnections;
    if (closing !== undefined || overflow >= maxOverflow) {
      socket.destroy();
      return;
    }
    const connection = new Connection(context, socket);
    connections.set(socket, connection);
    void connection.closed.then(() => connections.delete(socket));
    if (overflow < 0) http.emit('connection', socket);
    else connection.refuse(problem('TOO_MANY_CONNECTIONS', 'The proxy has too many connections', 'Close some.'));
  };

  return {
    listen: async (target) => {
      if (listener !== undefined || closing !== undefined) {
        const state = closing === undefined ? 'listens already' : 'is closed';
        throw new TapwardenError('STATE_ILLEGAL', { message: `The ${context.name} ${state}` });
      }
      const server = target.kind === 'server' ? target.server : createServer({ allowHalfOpen: true });
      server.on('connection', accept);
      listener = server;
      try {
        await startListening(server, target);
      } catch (thrown) {
        listener = undefined;
        throw thrown;
      }
      server.on('error', context.report.internalError);
      const address = server.address();
      return address === null || typeof address === 'string'
        ? { address: address ?? '', port: 0 }
        : { address: address.address, port: address.port };
    },
    close: () => {
      closing ??= closeAll(listener, connections, work);
      return closing;
    },
    stats: context.report.stats,
  };
}

/** Node's HTTP parser, which is given sockets and never listens itself; its own timers run only where it listens. */
function createParser(
  context: Context,
  connections: ReadonlyMap<Duplex, Connection>,
  serve: (connection: Connection, serving: Promise<void>) => void,
): HttpServer {
  const http = createHttpServer({
    insecureHTTPParser: false,
    joinDuplicateHeaders: false,
    // Judged in headers.ts, so that the answer is of our form.
    requireHostHeader: false,
    maxHeaderSize: context.limits.maxHeaderBytes,
    keepAliveTimeout: 0,
    requestTimeout: 0,
    headersTimeout: 0,
  });
  // Node drops headers above its count in silence, and a dropped header cannot be judged. The bytes are bounded.
  http.maxHeadersCount = 0;
  // Clients like `printf … | nc` close their side after the request; without this Node closes before the answer.
  Object.assign(http, { httpAllowHalfOpen: true });
  // Without a listener Node destroys an idle socket before Connection can answer on it.
  http.on('timeout', () => undefined);
  const serveRequest: RequestListener = (incoming, outgoing) => {
    const connection = connections.get(incoming.socket);
    if (connection === undefined || connection.refused) return;
    serve(connection, serveHttp(context, { connection, incoming, outgoing }));
  };
  http.on('request', serveRequest);
  http.on('checkContinue', serveRequest);
  http.on('checkExpectation', serveRequest);
  http.on('connect', (incoming, socket, head) => {
    const connection = connections.get(socket);
    if (connection === undefined || connection.refused) return;
    // The answer to an earlier request is still being written, and its bytes would mix with the tunnel's.
    if (connection.busy > 0) socket.destroy();
    else serve(connection, serveConnect(context, connection, incoming, head));
  });
  http.on('clientError', (error: ParseError, socket) => {
    const connection = connections.get(socket);
    // What follows a request with 'Connection: close' is nobody's; the answer in work ends the connection.
    if (error.code === 'HPE_CLOSED_CONNECTION') return;
    // The client ended in the middle of a request.
    const ended = error.code === 'HPE_INVALID_EOF_STATE';
    if (connection === undefined || ended || !socket.writable) socket.destroy();
    else connection.reject(judgeParseError(error));
  });
  return http;
}

type ParseError = NodeJS.ErrnoException & { readonly rawPacket?: Buffer };

function judgeParseError(error: ParseError): Problem {
  const code = error.code ?? 'unknown';
  if (code === 'HPE_HEADER_OVERFLOW') {
    return problem('HEADERS_TOO_LARGE', 'The request head is too large', 'Send fewer or shorter headers.');
  }
  // A TLS record of type handshake, version 3.x. Source: RFC 8446 section 5.1.
  const isTls = error.rawPacket?.[0] === 0x16 && error.rawPacket[1] === 0x03;
  return isTls
    ? problem(
        'REQUEST_MALFORMED',
        'This proxy is spoken to in plain HTTP, but TLS came',
        'Write http:// and not https:// before the address of the proxy, in HTTPS_PROXY too.',
      )
    : problem(
        'REQUEST_MALFORMED',
        `The request is not valid HTTP/1.1 (${code.replaceAll(/[^A-Z0-9_]/g, '')})`,
        'Send the request as RFC 9112 has it.',
      );
}

/** Keeps `serving` until it ends. It should not reject; when it does that is a bug, which must not go unheard. */
function track(context: Context, work: Set<Promise<void>>, connection: Connection, serving: Promise<void>): void {
  const kept = serving
    .catch((thrown: unknown) => {
      context.report.internalError(thrown);
      connection.socket.destroy();
    })
    .finally(() => work.delete(kept));
  work.add(kept);
}

function startListening(server: Server, target: ListenTarget): Promise<void> {
  const shown = target.kind === 'address' ? `${target.host} port ${target.port}` : `the ${target.kind} handed over`;
  return new Promise((resolve, reject) => {
    const onError = (cause: unknown): void => {
      const taken = errnoOf(cause) === 'EADDRINUSE';
      reject(
        new TapwardenError(taken ? 'PORT_IN_USE' : 'LISTEN_FAILED', {
          message: `Cannot listen on ${shown}: ${errnoOf(cause) ?? messageOf(cause)}`,
          hint: taken ? 'End what listens there, or choose another port.' : 'Check that this host has the address.',
          details: target.kind === 'server' ? {} : { ...target },
          cause,
        }),
      );
    };
    if (server.listening) {
      resolve();
      return;
    }
    if (target.kind === 'server') {
      onError(new Error('it does not listen'));
      return;
    }
    server.once('error', onError);
    server.once('listening', () => {
      server.removeListener('error', onError);
      resolve();
    });
    server.listen(target.kind === 'fd' ? { fd: target.fd } : { host: target.host, port: target.port });
  });
}

async function closeAll(
  listener: Server | undefined,
  connections: ReadonlyMap<Duplex, Connection>,
  work: ReadonlySet<Promise<void>>,
): Promise<void> {
  const stopped = new Promise<void>((resolve) => {
    if (listener?.listening) listener.close(() => resolve());
    else resolve();
  });
  const open = [...connections.values()];
  for (const connection of open) connection.socket.destroy();
  await Promise.all(open.map((connection) => connection.closed));
  await Promise.all(work);
  await stopped;
}
