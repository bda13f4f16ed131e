import { type ClientRequest, type IncomingMessage, request as requestHttp } from 'node:http';
import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { type Answer, parseAnswerBody } from './answer.ts';
import type { Context } from './context.ts';
import { dialAddress } from './dial-address.ts';
import { valuesOf } from './headers.ts';
import type { Denial, ProxyRequest, Upstream } from './model.ts';
import { renderAuthority } from './target.ts';
import { UpstreamError } from './upstream-error.ts';

/** The gateway that a chained proxy speaks to. */
export type Gateway = Extract<Upstream, { readonly kind: 'chain' }>;

/** What the gateway made of a CONNECT: a tunnel with its first bytes, or its own answer. */
export type Reached =
  | { readonly kind: 'open'; readonly socket: Socket; readonly head: Buffer }
  | { readonly kind: 'refused'; readonly answer: Answer; readonly denial: Denial | undefined };

/** Bytes of a gateway's refusal that are passed on. */
const maxAnswerBytes = 65_536;

/**
 * Asks the gateway for a tunnel to the host and port of `request`.
 *
 * @throws UpstreamError GATEWAY_UNREACHABLE when the gateway cannot be reached or breaks off, and the reason of `signal`
 */
export async function connectThroughGateway(
  context: Context,
  gateway: Gateway,
  request: ProxyRequest,
  signal: AbortSignal,
): Promise<Reached> {
  const socket = await dialGateway(gateway, signal);
  const authority = renderAuthority(request);
  const outgoing = requestHttp({
    method: 'CONNECT',
    path: authority,
    headers: ['Host', authority, 'Via', `1.1 ${context.name}`],
    createConnection: () => socket,
    maxHeaderSize: context.limits.maxHeaderBytes,
    insecureHTTPParser: false,
  });
  try {
    const { response, head } = await answerToConnect(outgoing, signal);
    const status = response.statusCode ?? 0;
    if (status >= 200 && status <= 299) return { kind: 'open', socket, head };
    const length = Number(response.headers['content-length'] ?? maxAnswerBytes);
    const refused = gatewayAnswer(response, await readBounded(socket, Math.min(length, maxAnswerBytes), signal, head));
    socket.destroy();
    return { kind: 'refused', ...refused };
  } catch (thrown) {
    outgoing.destroy();
    socket.destroy();
    signal.throwIfAborted();
    throw thrown;
  }
}

/**
 * Connects to the gateway.
 *
 * @throws UpstreamError GATEWAY_UNREACHABLE when it cannot be reached, and the reason of `signal`
 */
export async function dialGateway(gateway: Gateway, signal: AbortSignal): Promise<Socket> {
  try {
    return await dialAddress(gateway.host, gateway.port, signal);
  } catch (cause) {
    signal.throwIfAborted();
    throw new UpstreamError('GATEWAY_UNREACHABLE', 'The gateway cannot be reached', cause);
  }
}

/**
 * Says whether a response over the gateway is the gateway's own word and not an upstream's. The gateway removes
 * `Proxy-Status` from what it forwards, so only its own answers carry it. Source: RFC 9209 section 2.
 */
export function isGatewayAnswer(response: IncomingMessage): boolean {
  return valuesOf(response.rawHeaders, 'proxy-status').some((value) => /^gateway\s*(;|$)/.test(value));
}

/** The gateway's own answer, to be passed on as it is, with the body read to {@link maxAnswerBytes}. */
export async function readGatewayAnswer(
  response: IncomingMessage,
  signal: AbortSignal,
): Promise<{ readonly answer: Answer; readonly denial: Denial | undefined }> {
  return gatewayAnswer(response, await readBounded(response, maxAnswerBytes, signal));
}

function gatewayAnswer(
  response: IncomingMessage,
  body: Buffer,
): { readonly answer: Answer; readonly denial: Denial | undefined } {
  const headers: string[] = [];
  for (const name of ['Content-Type', 'Cache-Control', 'Allow', 'Proxy-Status']) {
    const [value] = valuesOf(response.rawHeaders, name.toLowerCase());
    if (value !== undefined) headers.push(name, value);
  }
  headers.push('Content-Length', String(body.length));
  return { answer: { status: response.statusCode ?? 502, headers, body }, denial: parseAnswerBody(body) };
}

function answerToConnect(
  outgoing: ClientRequest,
  signal: AbortSignal,
): Promise<{ readonly response: IncomingMessage; readonly head: Buffer }> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    // Node gives every answer to CONNECT in this event, the refusals too, and leaves their body on the socket.
    outgoing.once('connect', (response, _socket, head) => {
      signal.removeEventListener('abort', onAbort);
      resolve({ response, head });
    });
    outgoing.on('error', (cause) => {
      signal.removeEventListener('abort', onAbort);
      reject(new UpstreamError('GATEWAY_UNREACHABLE', 'The gateway broke off', cause));
    });
    outgoing.end();
  });
}

/** Reads `source` to its end, to `bytes`, to an error or until `signal`, whichever is first, and returns what came. */
function readBounded(
  source: Readable,
  bytes: number,
  signal: AbortSignal,
  head: Buffer = Buffer.alloc(0),
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [head];
    let size = head.length;
    const finish = (): void => {
      signal.removeEventListener('abort', onAbort);
      source.removeListener('data', onData);
      resolve(Buffer.concat(chunks).subarray(0, bytes));
    };
    const onAbort = (): void => reject(signal.reason);
    const onData = (chunk: Buffer): void => {
      chunks.push(chunk);
      size += chunk.length;
      if (size >= bytes) finish();
    };
    signal.addEventListener('abort', onAbort, { once: true });
    source.once('end', finish).once('close', finish).once('error', finish);
    if (size >= bytes) finish();
    else source.on('data', onData);
  });
}
