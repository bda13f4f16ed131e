import { type Problem, problem } from './answer.ts';
import type { ProxyName } from './model.ts';
import { type Authority, renderAuthority } from './target.ts';

/** Headers as Node gives and takes them: name, value, name, value … in the order and case of the message. */
export type RawHeaders = readonly string[];

/** How a request's body ends: there is none, it has a length in bytes, or it is chunked. */
export type Framing =
  | { readonly kind: 'none' }
  | { readonly kind: 'length'; readonly bytes: number }
  | { readonly kind: 'chunked' };

/** What a request head says besides its target: its framing, and what it asks of the proxy itself. */
export type RequestHead = { readonly framing: Framing; readonly expectsContinue: boolean };

/** The parts of a request that {@link readRequestHead} judges. `httpVersion` is for example `'1.1'`. */
export type HeadParts = { readonly method: string; readonly httpVersion: string; readonly rawHeaders: RawHeaders };

/**
 * Judges a request head that Node's parser let through.
 *
 * The parser refuses most forms that two parsers could read differently (`Content-Length` twice or beside
 * `Transfer-Encoding`, folded lines, bare CR or LF, space before the colon); here is what it lets through: two `Host`
 * lines, `Transfer-Encoding` other than `chunked` or under HTTP/1.0, and HTTP/0.9.
 * Source: RFC 9112 sections 3.2, 6.1 and 6.3, RFC 9110 sections 7.8, 9.3.8 and 10.1.1.
 */
export function readRequestHead(parts: HeadParts): RequestHead | Problem {
  const { method, httpVersion, rawHeaders } = parts;
  if (httpVersion !== '1.1' && httpVersion !== '1.0') return malformed(`HTTP/${httpVersion} is not spoken here`);
  const hosts = valuesOf(rawHeaders, 'host');
  if (hosts.length > 1) return malformed('The request has more than one Host header');
  // Hand-written CONNECT clients leave Host out and lose nothing, for the target says the same.
  if (hosts.length === 0 && httpVersion === '1.1' && method !== 'CONNECT') {
    return malformed('The request has no Host header');
  }
  if (method === 'TRACE') {
    return problem('METHOD_NOT_ALLOWED', 'TRACE is refused: it would show headers that proxies add', 'Use GET.');
  }
  const framing = readFraming(httpVersion, rawHeaders);
  if ('code' in framing) return framing;
  if (method === 'CONNECT' && framing.kind !== 'none') return malformed('A CONNECT request has no body');
  const upgrade = tokensOf(rawHeaders, 'upgrade').find((protocol) => !ignoredUpgrades.has(protocol));
  if (upgrade !== undefined && method !== 'CONNECT') {
    return problem(
      'UPGRADE_UNSUPPORTED',
      'The proxy does not change the protocol of a plain request',
      'Use CONNECT host:port, as RFC 6455 asks of WebSocket clients behind a proxy.',
    );
  }
  const expectations = httpVersion === '1.1' ? tokensOf(rawHeaders, 'expect') : [];
  if (expectations.some((token) => token !== '100-continue')) {
    return problem('EXPECTATION_FAILED', 'The Expect header asks for more than 100-continue', 'Leave Expect out.');
  }
  const expectsContinue = expectations.length > 0;
  return { framing, expectsContinue };
}

/**
 * The headers of a request as it leaves for `target`: `Host` from the target, the framing made anew, hop-by-hop and
 * `Proxy-*` headers gone, `Via` added.
 */
export function forwardRequestHeaders(
  parts: HeadParts,
  head: RequestHead,
  target: Authority,
  name: ProxyName,
): string[] {
  const headers = ['Host', renderAuthority(target, 80), ...endToEnd(parts.rawHeaders, requestDropped)];
  if (head.expectsContinue) headers.push('Expect', '100-continue');
  headers.push('Via', `${parts.httpVersion} ${name}`, 'Connection', 'close');
  if (head.framing.kind === 'chunked') headers.push('Transfer-Encoding', 'chunked');
  if (head.framing.kind === 'length') headers.push('Content-Length', String(head.framing.bytes));
  // RFC 9110 section 8.6: a method that gives content a meaning says so when there is none.
  if (head.framing.kind === 'none' && !bodiless.has(parts.method)) headers.push('Content-Length', '0');
  return headers;
}

/** What {@link readResponseHead} judges and {@link forwardResponseHeaders} passes on. */
export type ResponseParts = {
  readonly statusCode: number;
  readonly httpVersion: string;
  readonly rawHeaders: RawHeaders;
};

/**
 * Says why a response cannot be passed on, or `undefined`. A transfer coding beside `chunked` would be lost with the
 * header that names it, and the client would take coded bytes for content.
 */
export function judgeResponseHead({ statusCode, rawHeaders }: ResponseParts): string | undefined {
  if (statusCode < 200 || statusCode > 999) return `its status is ${statusCode}`;
  const codings = valuesOf(rawHeaders, 'transfer-encoding');
  const lengths = valuesOf(rawHeaders, 'content-length');
  if (codings.some((value) => value.trim().toLowerCase() !== 'chunked') || codings.length > 1) {
    return 'its Transfer-Encoding is not chunked alone';
  }
  if (lengths.length > 1 || (lengths.length > 0 && codings.length > 0)) return 'the length of its body is ambiguous';
  return undefined;
}

/** The headers of a response as it goes to the client: hop-by-hop and `Proxy-*` headers gone, `Via` added. */
export function forwardResponseHeaders(parts: ResponseParts, name: ProxyName): string[] {
  const dropped = parts.statusCode === 204 ? noContentDropped : responseDropped;
  return [...endToEnd(parts.rawHeaders, dropped), 'Via', `${parts.httpVersion} ${name}`];
}

/** All values of the header `name` (lower-case), in order. */
export function valuesOf(rawHeaders: RawHeaders, name: string): readonly string[] {
  return rawHeaders.filter((_, index) => index % 2 === 1 && rawHeaders[index - 1]?.toLowerCase() === name);
}

/** Upgrade offers that a server may pass over in silence and many clients make by habit. RFC 9110 section 7.8. */
const ignoredUpgrades: ReadonlySet<string> = new Set(['h2c', 'h2', 'http/2.0', 'tls/1.0', 'tls/1.2']);

const bodiless: ReadonlySet<string> = new Set(['GET', 'HEAD', 'DELETE', 'OPTIONS']);

// RFC 9110 section 7.6.1, and what is made anew.
const hopByHop = ['connection', 'keep-alive', 'te', 'trailer', 'transfer-encoding', 'upgrade', 'http2-settings'];
const responseDropped: ReadonlySet<string> = new Set(hopByHop);
const noContentDropped: ReadonlySet<string> = new Set([...hopByHop, 'content-length']);
const requestDropped: ReadonlySet<string> = new Set([...hopByHop, 'content-length', 'host', 'expect']);

/** Headers that frame a message or show its way stay whatever `Connection` lists, so that no sender takes them out. */
const notListable: ReadonlySet<string> = new Set(['content-length', 'via']);

function endToEnd(rawHeaders: RawHeaders, dropped: ReadonlySet<string>): string[] {
  const listed = new Set(tokensOf(rawHeaders, 'connection').filter((token) => !notListable.has(token)));
  const kept: string[] = [];
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const [name = '', value = ''] = [rawHeaders[index], rawHeaders[index + 1]];
    const key = name.toLowerCase();
    if (!dropped.has(key) && !listed.has(key) && !key.startsWith('proxy-')) kept.push(name, value);
  }
  return kept;
}

function readFraming(httpVersion: string, rawHeaders: RawHeaders): Framing | Problem {
  const codings = valuesOf(rawHeaders, 'transfer-encoding');
  const lengths = valuesOf(rawHeaders, 'content-length');
  if (codings.length > 0) {
    if (httpVersion === '1.0') return malformed('Transfer-Encoding is not part of HTTP/1.0');
    if (codings.length > 1 || lengths.length > 0 || codings[0]?.trim().toLowerCase() !== 'chunked') {
      return malformed('The only Transfer-Encoding taken is chunked, once, without Content-Length');
    }
    return { kind: 'chunked' };
  }
  if (lengths.length === 0) return { kind: 'none' };
  const [length = ''] = lengths;
  if (lengths.length > 1 || !/^[0-9]{1,15}$/.test(length)) return malformed('Content-Length is not one number');
  return { kind: 'length', bytes: Number(length) };
}

function tokensOf(rawHeaders: RawHeaders, name: string): readonly string[] {
  return valuesOf(rawHeaders, name)
    .join(',')
    .split(',')
    .map((token) => token.trim().toLowerCase())
    .filter((token) => token !== '');
}

function malformed(reason: string): Problem {
  return problem('REQUEST_MALFORMED', reason, 'Send the request as RFC 9112 has it.');
}
