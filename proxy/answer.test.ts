import { readFileSync } from 'node:fs';
import test from 'ava';
import { answerDenial, answerProblem, parseAnswerBody, problem, problems, renderAnswer } from './answer.ts';
import type { ProxyRequest } from './model.ts';

const request: ProxyRequest = {
  kind: 'connect',
  host: 'example.com',
  port: 443,
  method: 'CONNECT',
  client: { address: '10.0.128.2', port: 40112 },
};

test('problems are the ones that docs/proxy.md lists, with the same status', (t) => {
  const rows = [...readFileSync('docs/proxy.md', 'utf8').matchAll(/^\| `([A-Z_]+)` \| (\d{3}) \|/gm)];
  const documented = Object.fromEntries(rows.map(([, code = '', status]) => [code, Number(status)]));
  t.deepEqual(documented, Object.fromEntries(Object.entries(problems).map(([code, { status }]) => [code, status])));
});

test('renderAnswer() writes a whole response', (t) => {
  const told = problem('METHOD_NOT_ALLOWED', 'No', 'Use GET.');
  t.is(
    renderAnswer(answerProblem('guest-proxy', told)).toString(),
    [
      'HTTP/1.1 405 Method Not Allowed',
      'Content-Type: application/json',
      'Content-Length: 91',
      'Cache-Control: no-store',
      'Proxy-Status: guest-proxy; error=http_request_error; details="METHOD_NOT_ALLOWED"',
      'Allow: CONNECT, DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT',
      'Connection: close',
      '',
      '{"error":{"code":"METHOD_NOT_ALLOWED","reason":"No","hint":"Use GET.","by":"guest-proxy"}}\n',
    ].join('\r\n'),
  );
});

test('parseAnswerBody() reads what answerDenial() wrote', (t) => {
  const denial = { code: 'HOST_NOT_ALLOWED', reason: 'é "quoted"\n', hint: '' };
  t.deepEqual(parseAnswerBody(answerDenial('gateway', denial, request).body), denial);
});

test('answerDenial() keeps a code from breaking out of its header', (t) => {
  const { headers } = answerDenial('gateway', { code: 'A"\r\nX: y', reason: '', hint: '' }, request);
  t.true(headers.includes('gateway; error=http_request_denied; details="A___X__y"'));
});

test('parseAnswerBody() takes nothing else, and bounds what it takes', (t) => {
  for (const body of ['', 'x', 'null', '[]', '{}', '{"error":null}', '{"error":{"code":1,"reason":"","hint":""}}']) {
    t.is(parseAnswerBody(Buffer.from(body)), undefined, body);
  }
  const long = JSON.stringify({ error: { code: 'C'.repeat(9999), reason: 'r'.repeat(9999), hint: 'h'.repeat(9999) } });
  const denial = parseAnswerBody(Buffer.from(long));
  t.deepEqual([denial?.code.length, denial?.reason.length, denial?.hint.length], [64, 1024, 1024]);
});
