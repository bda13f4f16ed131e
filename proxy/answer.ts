import { STATUS_CODES } from 'node:http';
import type { Denial, ProxyName, ProxyRequest } from './model.ts';

/**
 * What a proxy answers by itself other than a policy's refusal, by the `code` of the JSON body: the HTTP status and the
 * error type of `Proxy-Status`. Source: RFC 9110 section 15, RFC 9209 section 2.3. `docs/proxy.md` lists the same codes.
 */
export const problems = {
  REQUEST_MALFORMED: { status: 400, error: 'http_request_error' },
  NOT_A_PROXY_REQUEST: { status: 400, error: 'http_request_error' },
  SCHEME_UNSUPPORTED: { status: 400, error: 'http_request_error' },
  METHOD_NOT_ALLOWED: { status: 405, error: 'http_request_error' },
  REQUEST_TIMEOUT: { status: 408, error: 'http_request_error' },
  EXPECTATION_FAILED: { status: 417, error: 'http_request_error' },
  HEADERS_TOO_LARGE: { status: 431, error: 'http_request_error' },
  PROXY_INTERNAL: { status: 500, error: 'proxy_internal_error' },
  UPGRADE_UNSUPPORTED: { status: 501, error: 'http_request_error' },
  NAME_UNRESOLVED: { status: 502, error: 'dns_error' },
  UPSTREAM_UNREACHABLE: { status: 502, error: 'destination_unavailable' },
  UPSTREAM_MALFORMED: { status: 502, error: 'http_protocol_error' },
  GATEWAY_UNREACHABLE: { status: 502, error: 'destination_unavailable' },
  TOO_MANY_CONNECTIONS: { status: 503, error: 'connection_limit_reached' },
  UPSTREAM_TIMEOUT: { status: 504, error: 'connection_timeout' },
} as const satisfies Readonly<Record<string, { readonly status: number; readonly error: string }>>;

/** A code of {@link problems}, for example `'UPSTREAM_TIMEOUT'`. */
export type ProblemCode = keyof typeof problems;

/** A refusal by the proxy itself, with one of its own codes. */
export type Problem = Denial & { readonly code: ProblemCode };

/** A whole response: status, headers without `Connection`, and the body. `proxyStatus` marks it as a proxy's own. */
export type Answer = { readonly status: number; readonly headers: readonly string[]; readonly body: Buffer };

/** Makes a {@link Problem}. Example: `problem('METHOD_NOT_ALLOWED', 'TRACE is refused', 'Use GET.')`. */
export function problem(code: ProblemCode, reason: string, hint: string): Problem {
  return { code, reason, hint };
}

/**
 * The answer that tells a problem of the proxy.
 *
 * Body: `{"error":{"code":"UPSTREAM_TIMEOUT","reason":"…","hint":"…","host":"example.com","port":443,"by":"gateway"}}`;
 * `host` and `port` are there when the request was well-formed.
 */
export function answerProblem(by: ProxyName, told: Problem, request?: ProxyRequest): Answer {
  const { status, error } = problems[told.code];
  return answer(by, status, error, told, request);
}

/** The answer that tells a refusal of the policy: 403, with the body that {@link answerProblem} describes. */
export function answerDenial(by: ProxyName, denial: Denial, request: ProxyRequest): Answer {
  return answer(by, 403, 'http_request_denied', denial, request);
}

/** `answer` as the bytes of an HTTP/1.1 response that ends its connection. */
export function renderAnswer({ status, headers, body }: Answer): Buffer {
  const lines = [`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Error'}`];
  for (let index = 0; index + 1 < headers.length; index += 2) lines.push(`${headers[index]}: ${headers[index + 1]}`);
  lines.push('Connection: close', '', '');
  return Buffer.concat([Buffer.from(lines.join('\r\n'), 'latin1'), body]);
}

/**
 * The denial that a proxy's own answer tells in its body, or `undefined` where the body is not of that form.
 * The inverse of {@link answerProblem} and {@link answerDenial}; the gateway's answers are read with it.
 */
export function parseAnswerBody(body: Buffer): Denial | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(body.toString('utf8'));
  } catch {
    return undefined;
  }
  const error = fieldOf(parsed, 'error');
  const [code, reason, hint] = [fieldOf(error, 'code'), fieldOf(error, 'reason'), fieldOf(error, 'hint')];
  if (typeof code !== 'string' || typeof reason !== 'string' || typeof hint !== 'string') return undefined;
  return { code: code.slice(0, 64), reason: reason.slice(0, 1024), hint: hint.slice(0, 1024) };
}

function answer(by: ProxyName, status: number, error: string, denial: Denial, request?: ProxyRequest): Answer {
  const { code, reason, hint } = denial;
  const place = request === undefined ? {} : { host: request.host, port: request.port };
  const body = Buffer.from(`${JSON.stringify({ error: { code, reason, hint, ...place, by } })}\n`);
  const headers = [
    'Content-Type',
    'application/json',
    'Content-Length',
    String(body.length),
    'Cache-Control',
    'no-store',
    'Proxy-Status',
    `${by}; error=${error}; details="${code.replaceAll(/[^A-Za-z0-9_-]/g, '_')}"`,
  ];
  // RFC 9110 section 15.5.6: a 405 names the methods that are allowed.
  if (status === 405) headers.push('Allow', 'CONNECT, DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT');
  return { status, headers, body };
}

function fieldOf(value: unknown, name: string): unknown {
  return value !== null && typeof value === 'object' ? Reflect.get(value, name) : undefined;
}
