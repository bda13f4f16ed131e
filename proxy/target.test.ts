import test from 'ava';
import { parseAbsoluteTarget, parseConnectTarget, renderAuthority } from './target.ts';

const connectOk = test.macro({
  exec(t, input: string, host: string, port: number) {
    t.deepEqual(parseConnectTarget(input), { kind: 'ok', value: { host, port } });
  },
  title: (_, input) => `parseConnectTarget() takes ${input}`,
});
test(connectOk, 'example.com:443', 'example.com', 443);
test(connectOk, 'EXAMPLE.com.:1', 'example.com.', 1);
test(connectOk, '192.0.2.1:65535', '192.0.2.1', 65535);
test(connectOk, '[2001:DB8::1]:443', '2001:db8::1', 443);
test(connectOk, '[::ffff:192.0.2.1]:443', '::ffff:192.0.2.1', 443);
test(connectOk, 'under_score.example:22', 'under_score.example', 22);

test('parseConnectTarget() refuses what is not host:port', (t) => {
  const inputs = [
    '',
    ':',
    ':443',
    'example.com',
    'example.com:',
    'example.com:0',
    'example.com:65536',
    'example.com:000443',
    'example.com:+1',
    'example.com:443/',
    'example.com:443:443',
    'http://example.com:443',
    'user@example.com:443',
    'user:pass@example.com:443',
    '2001:db8::1:443',
    '[2001:db8::1]',
    '[2001:db8::1%eth0]:443',
    '[192.0.2.1]:443',
    '[]:443',
    'exa mple.com:443',
    'exam%70le.com:443',
    'ex\u00e4mple.com:443',
    'a\0b:443',
    '.example.com:443',
    'example..com:443',
    'example.com..:443',
    '127.1:80',
    '0x7f.0.0.1:80',
    '0x7f000001:80',
    '2130706433:80',
    '127.0.0.1.:80',
    '127.0.0.01:80',
    '999.0.0.1:80',
    `${'a'.repeat(64)}.com:80`,
    `${'a.'.repeat(128)}com:80`,
  ];
  for (const input of inputs) {
    const parsed = parseConnectTarget(input);
    t.true(parsed.kind === 'bad' && parsed.problem.code === 'REQUEST_MALFORMED', input);
  }
});

const absoluteOk = test.macro({
  exec(t, input: string, host: string, port: number, path: string, method?: string) {
    t.deepEqual(parseAbsoluteTarget(input, method ?? 'GET'), { kind: 'ok', value: { host, port, path } });
  },
  title: (_, input, _host, _port, _path, method = 'GET') => `parseAbsoluteTarget() takes ${method} ${input}`,
});
test(absoluteOk, 'http://example.com/', 'example.com', 80, '/');
test(absoluteOk, 'HTTP://Example.com', 'example.com', 80, '/');
test(absoluteOk, 'http://example.com:8080/a//b/../c?d=http://e@f/', 'example.com', 8080, '/a//b/../c?d=http://e@f/');
test(absoluteOk, 'http://example.com?q', 'example.com', 80, '/?q');
test(absoluteOk, 'http://[2001:db8::1]:81/x', '2001:db8::1', 81, '/x');
test(absoluteOk, 'http://example.com', 'example.com', 80, '*', 'OPTIONS');
test(absoluteOk, 'http://example.com/', 'example.com', 80, '/', 'OPTIONS');

const absoluteBad = test.macro({
  exec(t, input: string, code: string) {
    const parsed = parseAbsoluteTarget(input, 'GET');
    t.is(parsed.kind === 'bad' ? parsed.problem.code : 'taken', code);
  },
  title: (_, input, code) => `parseAbsoluteTarget() refuses ${JSON.stringify(input)} as ${code}`,
});
test(absoluteBad, '/', 'NOT_A_PROXY_REQUEST');
test(absoluteBad, '//example.com/', 'NOT_A_PROXY_REQUEST');
test(absoluteBad, '*', 'NOT_A_PROXY_REQUEST');
test(absoluteBad, 'https://example.com/', 'SCHEME_UNSUPPORTED');
test(absoluteBad, 'ftp://example.com/', 'SCHEME_UNSUPPORTED');
test(absoluteBad, 'example.com:80', 'REQUEST_MALFORMED');
test(absoluteBad, 'http:example.com', 'REQUEST_MALFORMED');
test(absoluteBad, 'http:///path', 'REQUEST_MALFORMED');
test(absoluteBad, 'http://user:pass@example.com/', 'REQUEST_MALFORMED');
test(absoluteBad, 'http://good.test\\@evil.test/', 'REQUEST_MALFORMED');
test(absoluteBad, 'http://good.test\\.evil.test/', 'REQUEST_MALFORMED');
test(absoluteBad, 'http://example.com:/', 'REQUEST_MALFORMED');
test(absoluteBad, 'http://example.com:99999/', 'REQUEST_MALFORMED');
test(absoluteBad, 'http://example.com/#fragment', 'REQUEST_MALFORMED');
test(absoluteBad, 'http://example.com/a b', 'REQUEST_MALFORMED');
test(absoluteBad, 'http://example.com/\u00ff', 'REQUEST_MALFORMED');
test(absoluteBad, 'http://127.1/', 'REQUEST_MALFORMED');

test('parseAbsoluteTarget() escapes and bounds what it quotes', (t) => {
  const parsed = parseAbsoluteTarget(`http://\u001b[31m${'x'.repeat(5000)}`, 'GET');
  t.true(parsed.kind === 'bad' && parsed.problem.reason.includes('\\x1b[31m') && parsed.problem.reason.length < 400);
});

test('renderAuthority() puts brackets about IPv6 and leaves the default port out', (t) => {
  t.is(renderAuthority({ host: '2001:db8::1', port: 80 }, 80), '[2001:db8::1]');
  t.is(renderAuthority({ host: '2001:db8::1', port: 443 }), '[2001:db8::1]:443');
  t.is(renderAuthority({ host: 'example.com', port: 81 }, 80), 'example.com:81');
});
