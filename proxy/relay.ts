import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Answer } from './answer.ts';
import { type Connection, lingerMs } from './connection.ts';
import type { Context } from './context.ts';
import { forwardResponseHeaders, type ResponseParts, valuesOf } from './headers.ts';

/** One request on a connection, in the two halves that Node gives of it. */
export type Pair = {
  readonly connection: Connection;
  readonly incoming: IncomingMessage;
  readonly outgoing: ServerResponse;
};

/** How a response went to the client. `complete` is `false` when the upstream or the client broke off. */
export type Relayed = { readonly bytesDown: number; readonly complete: boolean };

/**
 * Sends the proxy's own answer, and returns when it is sent or the client is gone. `hasBody` says that the request has a
 * body, which is taken for a moment and thrown away; `close` ends the connection in any case.
 */
export async function sendAnswer(
  pair: Pair,
  answer: Answer,
  { hasBody, close }: { readonly hasBody: boolean; readonly close: boolean },
): Promise<void> {
  const { connection, incoming, outgoing } = pair;
  if (incoming.socket.destroyed || outgoing.headersSent) return;
  const headers = [...answer.headers];
  if (close || (hasBody && !incoming.complete)) {
    connection.stopServing();
    headers.push('Connection', 'close');
  }
  outgoing.sendDate = false;
  outgoing.writeHead(answer.status, headers);
  outgoing.write(answer.body);
  await finish(pair, hasBody);
}

/** Relays a response, whose head {@link judgeResponseHead} passed, with back-pressure, until it ends or `signal` fires. */
export async function relayResponse(
  context: Context,
  pair: Pair,
  response: IncomingMessage,
  { hasBody, upstream, signal }: { readonly hasBody: boolean; readonly upstream: Socket; readonly signal: AbortSignal },
): Promise<Relayed> {
  const { connection, incoming, outgoing } = pair;
  const headers = forwardResponseHeaders(partsOf(response), context.name);
  // An upstream that answers before it has read the request leaves a connection on which nothing else can be asked.
  if (hasBody && !incoming.complete) {
    connection.stopServing();
    headers.push('Connection', 'close');
  }
  outgoing.sendDate = false;
  outgoing.writeHead(response.statusCode ?? 0, response.statusMessage ?? '', headers);
  let bytesDown = 0;
  response.on('data', (chunk: Buffer) => {
    bytesDown += chunk.length;
  });
  const piped = await pipeResponse(response, outgoing, signal);
  // Node takes a reset for the end where nothing but the end of the connection tells the length.
  const ended = piped && !(endsAtClose(response, incoming.method) && upstream.errored !== null);
  if (ended) await finish(pair, hasBody);
  const complete = ended && outgoing.writableFinished;
  if (!complete) breakOff(pair, response);
  return { bytesDown, complete };
}

/** The parts of `response` that its headers are judged and made by. */
export function partsOf(response: IncomingMessage): ResponseParts {
  const { statusCode = 0, httpVersion, rawHeaders } = response;
  return { statusCode, httpVersion, rawHeaders };
}

function pipeResponse(response: IncomingMessage, outgoing: ServerResponse, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    response.on('error', () => resolve(false));
    response.once('close', () => resolve(response.readableEnded && response.complete));
    response.once('end', () => resolve(response.complete));
    outgoing.once('close', () => resolve(false));
    signal.addEventListener('abort', () => resolve(false), { once: true });
    if (signal.aborted) resolve(false);
    response.pipe(outgoing, { end: false });
  });
}

/** Ends a response, after the rest of the request, which a client may have to send before it reads. */
async function finish({ incoming, outgoing }: Pair, hasBody: boolean): Promise<void> {
  if (hasBody && !incoming.complete) {
    incoming.unpipe();
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, lingerMs);
      incoming.once('close', () => {
        clearTimeout(timer);
        resolve();
      });
      incoming.resume();
    });
  }
  await new Promise<void>((resolve) => {
    outgoing.once('finish', resolve);
    incoming.socket.once('close', () => resolve());
    if (incoming.socket.destroyed) resolve();
    outgoing.end();
  });
}

/** Ends the client's connection so that a response that is cut short does not look whole. */
function breakOff({ connection, incoming }: Pair, response: IncomingMessage): void {
  // Where the length is known the client sees that bytes are missing; a reset would cost it those that it has not read.
  const visible = incoming.httpVersion !== '1.0' || valuesOf(response.rawHeaders, 'content-length').length > 0;
  if (visible) connection.cutShort();
  else incoming.socket.resetAndDestroy();
}

function endsAtClose({ rawHeaders, statusCode }: IncomingMessage, method: string | undefined): boolean {
  if (method === 'HEAD' || statusCode === 204 || statusCode === 304) return false;
  return valuesOf(rawHeaders, 'content-length').length + valuesOf(rawHeaders, 'transfer-encoding').length === 0;
}
