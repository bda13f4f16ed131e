import test from 'ava';
import { forwardRequestHeaders, forwardResponseHeaders, judgeResponseHead, readRequestHead } from './headers.ts';

const read = (rawHeaders: readonly string[], method = 'POST', httpVersion = '1.1') =>
  readRequestHead({ method, httpVersion, rawHeaders });

const refused = test.macro({
  exec(t, rawHeaders: readonly string[], code: string, method?: string, httpVersion?: string) {
    const head = read(rawHeaders, method, httpVersion);
    t.is('code' in head ? head.code : 'taken', code);
  },
  title: (title) => `readRequestHead() refuses ${title}`,
});
test('two Host headers', refused, ['Host', 'a', 'host', 'a'], 'REQUEST_MALFORMED');
test('no Host header in HTTP/1.1', refused, [], 'REQUEST_MALFORMED');
test('HTTP/0.9', refused, ['Host', 'a'], 'REQUEST_MALFORMED', 'GET', '0.9');
test('TRACE', refused, ['Host', 'a'], 'METHOD_NOT_ALLOWED', 'TRACE');
test('gzip in Transfer-Encoding', refused, ['Host', 'a', 'Transfer-Encoding', 'gzip, chunked'], 'REQUEST_MALFORMED');
test('two lengths', refused, ['Host', 'a', 'Content-Length', '1', 'Content-Length', '1'], 'REQUEST_MALFORMED');
test('a list of lengths', refused, ['Host', 'a', 'Content-Length', '1, 1'], 'REQUEST_MALFORMED');
test(
  'a length and chunks',
  refused,
  ['Host', 'a', 'Content-Length', '1', 'Transfer-Encoding', 'chunked'],
  'REQUEST_MALFORMED',
);
test('chunks in HTTP/1.0', refused, ['Transfer-Encoding', 'chunked'], 'REQUEST_MALFORMED', 'POST', '1.0');
test('a body of CONNECT', refused, ['Content-Length', '3'], 'REQUEST_MALFORMED', 'CONNECT');
test('Upgrade to websocket', refused, ['Host', 'a', 'Upgrade', 'h2c, websocket'], 'UPGRADE_UNSUPPORTED', 'GET');
test('an unknown expectation', refused, ['Host', 'a', 'Expect', 'tea'], 'EXPECTATION_FAILED');

test('readRequestHead() takes an offer of h2c, for a server may pass over it', (t) => {
  t.deepEqual(
    read(['Host', 'a', 'Connection', 'Upgrade, HTTP2-Settings', 'Upgrade', 'h2c', 'HTTP2-Settings', 'AA'], 'GET'),
    {
      framing: { kind: 'none' },
      expectsContinue: false,
    },
  );
});

test('forwardRequestHeaders() makes Host and framing anew and drops what is for this hop', (t) => {
  const rawHeaders = [
    ...['Accept', '*/*', 'Host', 'other', 'Connection', 'close, X-Secret, Host, Via', 'X-Secret', '1'],
    ...['Proxy-Authorization', 'Basic eDp5', 'Proxy-Connection', 'keep-alive', 'Keep-Alive', 'timeout=5'],
    ...['TE', 'trailers', 'Trailer', 'X-Sum', 'Upgrade', 'h2c', 'Via', '1.1 first', 'X-A', '1', 'x-a', '2'],
    ...['Content-Length', '3', 'Expect', '100-continue'],
  ];
  const parts = { method: 'POST', httpVersion: '1.1', rawHeaders };
  const head = readRequestHead(parts);
  if ('code' in head) return t.fail(head.reason);
  t.deepEqual(forwardRequestHeaders(parts, head, { host: '2001:db8::1', port: 8080 }, 'guest-proxy'), [
    ...['Host', '[2001:db8::1]:8080', 'Accept', '*/*', 'Via', '1.1 first', 'X-A', '1', 'x-a', '2'],
    ...['Expect', '100-continue', 'Via', '1.1 guest-proxy', 'Connection', 'close', 'Content-Length', '3'],
  ]);
});

test('forwardRequestHeaders() says that a POST has no body', (t) => {
  const parts = { method: 'POST', httpVersion: '1.0', rawHeaders: [] };
  const head = readRequestHead(parts);
  if ('code' in head) return t.fail(head.reason);
  t.deepEqual(forwardRequestHeaders(parts, head, { host: 'a', port: 80 }, 'gateway').slice(-2), [
    'Content-Length',
    '0',
  ]);
});

test('forwardResponseHeaders() drops what is for this hop and keeps the order of the rest', (t) => {
  const rawHeaders = [
    'Set-Cookie',
    'a',
    'Connection',
    'x-hop',
    'X-Hop',
    '1',
    'Set-Cookie',
    'b',
    'Proxy-Status',
    'gateway; x',
  ];
  t.deepEqual(forwardResponseHeaders({ statusCode: 200, httpVersion: '1.0', rawHeaders }, 'gateway'), [
    ...['Set-Cookie', 'a', 'Set-Cookie', 'b', 'Via', '1.0 gateway'],
  ]);
});

test('judgeResponseHead() refuses what would be read differently behind it', (t) => {
  const judge = (rawHeaders: readonly string[], statusCode = 200) =>
    judgeResponseHead({ statusCode, httpVersion: '1.1', rawHeaders });
  t.is(judge(['Content-Length', '3']), undefined);
  t.is(judge(['Transfer-Encoding', 'chunked']), undefined);
  t.truthy(judge(['Transfer-Encoding', 'gzip, chunked']));
  t.truthy(judge(['Content-Length', '3', 'Content-Length', '3']));
  t.truthy(judge(['Content-Length', '3', 'Transfer-Encoding', 'chunked']));
  t.truthy(judge([], 101));
});
