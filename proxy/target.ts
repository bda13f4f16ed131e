import { isIP, isIPv4, isIPv6 } from 'node:net';
import { escapeText } from '../base/index.ts';
import { type Problem, problem } from './answer.ts';

/** A host and port. `host` is lower-case and, when it is an IPv6 address, without brackets. */
export type Authority = { readonly host: string; readonly port: number };

/** What an absolute-form request asks for. `path` begins with `/`, or is `*` for OPTIONS of the whole server. */
export type Target = Authority & { readonly path: string };

/** A value, or why there is none. */
export type Parsed<T> =
  | { readonly kind: 'ok'; readonly value: T }
  | { readonly kind: 'bad'; readonly problem: Problem };

/**
 * Reads the target of a CONNECT request: `example.com:443`, `192.0.2.1:80`, `[2001:db8::1]:443`.
 * The port is required. User information, zone ids, percent-encoding and non-ASCII are refused.
 *
 * Source: RFC 9112 section 3.2.3, RFC 3986 section 3.2.
 */
export function parseConnectTarget(text: string): Parsed<Authority> {
  const authority = parseAuthority(text, undefined);
  return authority === undefined
    ? malformed(`The target of CONNECT must be host:port, but is '${escapeText(text, 200)}'`)
    : { kind: 'ok', value: authority };
}

/**
 * Reads the target of any other proxy request: `http://example.com:8080/path?query`. The port is 80 where none is given.
 *
 * Source: RFC 9112 sections 3.2.2 and 3.2.4.
 */
export function parseAbsoluteTarget(text: string, method: string): Parsed<Target> {
  const shown = escapeText(text, 200);
  if (text.startsWith('/') || text === '*') {
    return bad(
      problem(
        'NOT_A_PROXY_REQUEST',
        'This is a proxy and not a web server: the request names no host to go to',
        'Name this address as the proxy of the client, for example in HTTP_PROXY and HTTPS_PROXY.',
      ),
    );
  }
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]*):\/\//.exec(text);
  if (scheme === null) return malformed(`The request target '${shown}' is not an absolute http URI`);
  if (scheme[1]?.toLowerCase() !== 'http') {
    return bad(
      problem(
        'SCHEME_UNSUPPORTED',
        `The scheme '${escapeText(scheme[1] ?? '', 40)}' is not proxied; only http: is`,
        'Use CONNECT host:port for https: and everything else.',
      ),
    );
  }
  const rest = text.slice(scheme[0].length);
  const end = rest.search(/[/?#]/);
  const authorityText = end === -1 ? rest : rest.slice(0, end);
  const tail = end === -1 ? '' : rest.slice(end);
  if (authorityText.includes('@')) return malformed('The request target holds user information (user:password@)');
  if (!/^[\x21-\x22\x24-\x7e]*$/.test(tail)) {
    return malformed(`The request target '${shown}' holds a fragment or a character that a URI may not hold`);
  }
  const authority = parseAuthority(authorityText, 80);
  if (authority === undefined) return malformed(`The request target '${shown}' has no valid host and port`);
  return { kind: 'ok', value: { ...authority, path: pathOf(tail, method) } };
}

/** `host:port` with brackets about an IPv6 address; without the port where it is `defaultPort`. */
export function renderAuthority({ host, port }: Authority, defaultPort?: number): string {
  const shown = isIPv6(host) ? `[${host}]` : host;
  return port === defaultPort ? shown : `${shown}:${port}`;
}

function pathOf(tail: string, method: string): string {
  if (tail.startsWith('/')) return tail;
  if (tail === '') return method === 'OPTIONS' ? '*' : '/';
  return `/${tail}`;
}

function parseAuthority(text: string, defaultPort: number | undefined): Authority | undefined {
  const match = /^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?$/.exec(text);
  const host = match?.[1]?.toLowerCase();
  const port = match?.[2] === undefined ? defaultPort : Number(match[2]);
  if (host === undefined || port === undefined || port < 1 || port > 65535) return undefined;
  if (host.startsWith('[')) {
    const address = host.slice(1, -1);
    return isIPv6(address) ? { host: address, port } : undefined;
  }
  return isName(host) || isIPv4(host) ? { host, port } : undefined;
}

/**
 * Says whether `host` can be a DNS name. A name whose last label is a number is none: resolvers read `127.1`,
 * `0x7f.0.0.1` and `2130706433` as addresses, and policy and resolver would see different hosts.
 * Source: RFC 1123 section 2.1, WHATWG URL section 3.5 ("ends in a number").
 */
function isName(host: string): boolean {
  if (host.length > 254 || isIP(host) !== 0) return false;
  const labels = (host.endsWith('.') ? host.slice(0, -1) : host).split('.');
  const last = labels.at(-1) ?? '';
  return labels.every((label) => label.length >= 1 && label.length <= 63) && !/^([0-9]+|0x[0-9a-f]*)$/.test(last);
}

function malformed(reason: string): { readonly kind: 'bad'; readonly problem: Problem } {
  return bad(problem('REQUEST_MALFORMED', reason, 'Send CONNECT host:port, or a request for http://host[:port]/path.'));
}

function bad(told: Problem): { readonly kind: 'bad'; readonly problem: Problem } {
  return { kind: 'bad', problem: told };
}
