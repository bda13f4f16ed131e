import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { isTapwardenError, messageOf, type TapwardenError } from '../../base/index.ts';
import { type HttpBody, type HttpFormat, renderBody } from './http-body.ts';
import type { BatchSize, Transport } from './model.ts';
import type { OutgoingEvent } from './outgoing-event.ts';
import { refused, unavailable } from './refusal.ts';
import type { SecretFile } from './secret-file.ts';
import type { TlsFiles } from './tls-files.ts';

/** How an HTTP receiver is reached. */
export type HttpOptions = {
  readonly url: URL;
  /** @default 'jsonl' */
  readonly format?: HttpFormat;
  /** @default true */
  readonly gzip?: boolean;
  readonly token?: SecretFile;
  /** The word before the token in `Authorization`; Splunk wants `Splunk`. @default 'Bearer' */
  readonly tokenScheme?: string;
  readonly tls?: TlsFiles;
  /** Milliseconds from the start of a request to the end of its answer. @default 30000 */
  readonly timeoutMs?: number;
  /** @default 1000 events, 4 MiB, 1000 ms */
  readonly batch?: BatchSize;
};

/** An answer as far as it is looked at. */
type Answer = { readonly status: number; readonly retryAfter: string | undefined; readonly text: string };

const maxAnswerBytes = 64 * 1024;
const maxRetryAfterMs = 3_600_000;

/**
 * The answers by which a receiver says that this body will never do: malformed, too large, not processable. All others
 * may change when the receiver or its setting is mended, so they are tried again. Source: RFC 9110, section 15.5
 */
const refusals: readonly number[] = [400, 413, 422];

/**
 * A transport to an HTTP or HTTPS receiver: one POST for each batch, on a connection that is kept. An answer of 2xx
 * acknowledges all of it. Redirections are not followed, since they would carry the token elsewhere.
 *
 * @throws FILE_UNREADABLE when a file of certificates cannot be read
 */
export async function openHttp(options: HttpOptions): Promise<Transport> {
  const tls = options.url.protocol === 'https:' ? await options.tls?.read() : undefined;
  const agent =
    options.url.protocol === 'https:'
      ? new HttpsAgent({ keepAlive: true, maxSockets: 1, ...tls })
      : new HttpAgent({ keepAlive: true, maxSockets: 1 });
  const name = `${options.url.origin}${options.url.pathname}`;
  return {
    name,
    batch: options.batch ?? { maxEvents: 1000, maxBytes: 4 * 1024 * 1024, lingerMs: 1000 },
    send: async (events, signal) => await post(events, { ...options, name, agent }, signal),
    close: async () => agent.destroy(),
  };
}

type Target = HttpOptions & { readonly name: string; readonly agent: HttpAgent | HttpsAgent };

async function post(events: readonly OutgoingEvent[], target: Target, signal: AbortSignal): Promise<void> {
  const body = await renderBody(events, target.format ?? 'jsonl', target.gzip ?? true);
  const token = await currentToken(target);
  let answer = await exchange(body, token, target, signal);
  if (answer.status === 401 && target.token !== undefined) {
    target.token.forget();
    const renewed = await currentToken(target);
    if (renewed !== token) answer = await exchange(body, renewed, target, signal);
  }
  if (answer.status >= 200 && answer.status < 300) return;
  throw failureOf(answer, target.name);
}

/** A token that cannot be read just now, as while it is being replaced, is a reason to wait and not to end. */
async function currentToken({ token, name }: Target): Promise<string | undefined> {
  try {
    return await token?.read();
  } catch (cause) {
    throw unavailable(name, messageOf(cause), { cause });
  }
}

async function exchange(
  body: HttpBody,
  token: string | undefined,
  target: Target,
  signal: AbortSignal,
): Promise<Answer> {
  const { url, agent, name } = target;
  const timeoutMs = target.timeoutMs ?? 30_000;
  const timeout = AbortSignal.timeout(timeoutMs);
  const headers = {
    ...body.headers,
    'content-length': body.bytes.length,
    'user-agent': 'tapwarden',
    ...(token === undefined ? {} : { authorization: `${target.tokenScheme ?? 'Bearer'} ${token}` }),
  };
  try {
    return await new Promise<Answer>((resolve, reject) => {
      const send = url.protocol === 'https:' ? httpsRequest : httpRequest;
      const request = send(url, { method: 'POST', agent, headers, signal: AbortSignal.any([signal, timeout]) });
      request.once('error', reject);
      request.once('response', (response) => void readAnswer(response).then(resolve, reject));
      request.end(body.bytes);
    });
  } catch (cause) {
    if (isTapwardenError(cause)) throw cause;
    const reason = timeout.aborted ? `no answer within ${timeoutMs} ms` : messageOf(cause);
    throw unavailable(name, reason || 'the connection failed', { cause });
  }
}

/** Reads an answer to its end, without which the connection could not be used again. */
async function readAnswer(response: IncomingMessage): Promise<Answer> {
  const pieces: Buffer[] = [];
  let size = 0;
  for await (const piece of response as AsyncIterable<Buffer>) {
    size += piece.length;
    if (size > maxAnswerBytes) break;
    pieces.push(piece);
  }
  return {
    status: response.statusCode ?? 0,
    retryAfter: response.headers['retry-after'],
    text: Buffer.concat(pieces).toString('utf8').trim(),
  };
}

function failureOf({ status, retryAfter, text }: Answer, name: string): TapwardenError {
  const words = `it answered ${status}${text === '' ? '' : `: ${text.slice(0, 200)}`}`;
  if (refusals.includes(status)) return refused(name, words);
  const retryAfterMs = parseRetryAfter(retryAfter, Date.now());
  return unavailable(name, words, retryAfterMs === undefined ? {} : { retryAfterMs });
}

/**
 * Milliseconds that `Retry-After` asks for, an hour at most; `undefined` where it asks for nothing that can be read.
 * Source: RFC 9110, section 10.2.3
 */
export function parseRetryAfter(value: string | undefined, nowMs: number): number | undefined {
  if (value === undefined) return undefined;
  const ms = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - nowMs;
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(ms, 0), maxRetryAfterMs);
}
