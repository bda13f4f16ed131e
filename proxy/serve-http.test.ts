import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { Writable } from 'node:stream';
import test from 'ava';
import {
  errorOf,
  isHeldBack,
  open,
  readAll,
  readUntil,
  startHttp,
  startProxy,
  startTcp,
  talk,
  until,
} from './test-harness.ts';

const get = (port: number, path = '/', host = 'a.test', rest = ''): string =>
  `GET http://${host}:${port}${path} HTTP/1.1\r\nHost: ${host}\r\n${rest}\r\n`;

test('http: each request on a connection is decided anew', async (t) => {
  const upstream = await startHttp(t, (request, response) => response.end(`${request.headers.host} ${request.url};`));
  const { port, told, proxy } = await startProxy(t);
  const client = await open(t, port);
  client.write(get(upstream, '/1'));
  t.regex(await readUntil(client, ';'), /^HTTP\/1\.1 200 OK\r\n[\s\S]*a\.test:\d+ \/1;/);
  client.write(get(upstream, '/2', 'denied.test'));
  t.regex(await readUntil(client, '}}\n'), /^HTTP\/1\.1 403 Forbidden\r\n[\s\S]*HOST_NOT_ALLOWED/);
  client.write(get(upstream, '/3', 'b.test'));
  t.regex(await readUntil(client, ';'), /^HTTP\/1\.1 200 OK\r\n[\s\S]*b\.test:\d+ \/3;/);
  t.deepEqual(
    told.outcomes.map(({ request, result }) => [request.host, request.path, result]),
    [
      ['a.test', '/1', 'open'],
      ['denied.test', '/2', 'denied'],
      ['b.test', '/3', 'open'],
    ],
  );
  await until(() => told.closed.length === 2);
  t.like(told.closed[0], { status: 200, complete: true, bytesUp: 0 });
  t.like(proxy.stats(), { allowed: 2, denied: 1, active: 0 });
});

test('http: pipelined requests are answered in order, each by its own decision', async (t) => {
  const upstream = await startHttp(t, (request, response) => {
    setTimeout(() => response.end(`${request.url};`), request.url === '/1' ? 60 : 0);
  });
  const { port } = await startProxy(t);
  const reply = await talk(
    t,
    port,
    get(upstream, '/1') + get(upstream, '/2', 'denied.test') + get(upstream, '/3', 'a.test', 'Connection: close\r\n'),
  );
  t.regex(reply, /\/1;[\s\S]*HOST_NOT_ALLOWED[\s\S]*\/3;/);
});

test('http: a client that sends too many requests ahead is cut off', async (t) => {
  const upstream = await startHttp(t, () => undefined);
  const { port, told, proxy } = await startProxy(t);
  t.is(await talk(t, port, get(upstream).repeat(17)), '');
  await until(() => proxy.stats().active === 0 && told.outcomes.length === 16);
  t.pass();
});

test('http: Host is the target, hop-by-hop headers stay here and Via is added', async (t) => {
  const upstream = await startHttp(t, (request, response) => {
    response.setHeader('Connection', 'x-hop, close');
    response.setHeader('X-Hop', '1');
    response.setHeader('Proxy-Status', 'gateway; forged');
    response.setHeader('Set-Cookie', ['a=1', 'b=2']);
    response.end(JSON.stringify(request.rawHeaders));
  });
  const { port } = await startProxy(t);
  const headers =
    'Proxy-Authorization: Basic c2VjcmV0\r\nProxy-Connection: keep-alive\r\nTE: trailers\r\nX-Own: 1\r\n' +
    'Connection: close, x-own\r\nUser-Agent: t\r\n';
  const reply = await talk(t, port, `GET http://a.test:${upstream}/ HTTP/1.1\r\nHost: evil.test\r\n${headers}\r\n`);
  t.true(
    reply.endsWith(
      JSON.stringify(['Host', `a.test:${upstream}`, 'User-Agent', 't', 'Via', '1.1 gateway', 'Connection', 'close']),
    ),
    reply,
  );
  t.notRegex(reply, /x-hop|forged/i);
  t.regex(reply, /\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n[\s\S]*\r\nVia: 1\.1 gateway\r\n/);
});

test('http: bodies stream through with their framing, empty ones too', async (t) => {
  const upstream = await startHttp(t, (request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { 'content-length': length = '-', 'transfer-encoding': coding = '-' } = request.headers;
      response.end(`<${length} ${coding} ${Buffer.concat(chunks)}>`);
    });
  });
  const { port, told } = await startProxy(t);
  const send = (method: string, rest: string) =>
    talk(t, port, `${method} http://a.test:${upstream}/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${rest}`);
  t.regex(await send('POST', 'Content-Length: 5\r\n\r\nhello'), /<5 - hello>/);
  t.regex(
    await send('POST', 'Transfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nT: 1\r\n\r\n'),
    /<- chunked hello>/,
  );
  t.regex(await send('POST', '\r\n'), /<0 - >/);
  t.regex(await send('GET', '\r\n'), /<- - >/);
  t.regex(await send('GET', 'Transfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n'), /<- chunked abc>/);
  t.regex(await send('DELETE', 'Content-Length: 2\r\n\r\nab'), /<2 - ab>/);
  await until(() => told.closed.length === 6);
  t.deepEqual(
    told.closed.map(({ bytesUp }) => bytesUp),
    [5, 5, 0, 0, 3, 2],
  );
});

test('http: 20 MB pass each way at once, whole', async (t) => {
  const size = 20 * 1024 * 1024;
  const upstream = await startHttp(t, (request, response) => {
    response.setHeader('Content-Length', size);
    request.pipe(response);
  });
  const { port, told } = await startProxy(t);
  const client = await open(t, port);
  const length = `Connection: close\r\nContent-Length: ${size}\r\n\r\n`;
  client.write(`POST http://a.test:${upstream}/ HTTP/1.1\r\nHost: a\r\n${length}`);
  const sent = randomBytes(size);
  const received: Buffer[] = [];
  client.on('data', (chunk: Buffer) => received.push(chunk));
  client.write(sent);
  await once(client, 'end');
  t.true(Buffer.concat(received).subarray(-size).equals(sent));
  await until(() => told.closed.length === 1);
  t.like(told.closed[0], { bytesUp: size, bytesDown: size, complete: true, status: 200 });
});

test('http: a sender whose receiver does not read is held back, in either direction', async (t) => {
  const senders: Writable[] = [];
  const upstream = await startHttp(t, (request, response) => {
    request.pause();
    response.writeHead(200);
    senders.push(response);
  });
  const { port } = await startProxy(t);
  const client = await open(t, port);
  client.pause();
  client.write(`POST http://a.test:${upstream}/ HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n`);
  t.true(await isHeldBack(client));
  await until(() => senders.length === 1);
  t.true(senders[0] !== undefined && (await isHeldBack(senders[0])));
});

test('http: HEAD, 204 and 304 have no body and keep the connection', async (t) => {
  const upstream = await startHttp(t, (request, response) => {
    if (request.url === '/204') response.writeHead(204).end();
    else if (request.url === '/304') response.writeHead(304, { 'Content-Length': '7', ETag: 'x' }).end();
    else response.writeHead(200, { 'Content-Length': '7' }).end('content');
  });
  const { port } = await startProxy(t);
  const client = await open(t, port);
  client.write(`HEAD http://a.test:${upstream}/ HTTP/1.1\r\nHost: a\r\n\r\n`);
  t.regex(await readUntil(client, '\r\n\r\n'), /^HTTP\/1\.1 200 OK\r\nContent-Length: 7\r\n[\s\S]*\r\n\r\n$/);
  client.write(get(upstream, '/204'));
  t.regex(await readUntil(client, '\r\n\r\n'), /^HTTP\/1\.1 204 No Content\r\n(?!.*Content-Length)[\s\S]*\r\n\r\n$/);
  client.write(get(upstream, '/304'));
  t.regex(await readUntil(client, '\r\n\r\n'), /^HTTP\/1\.1 304 Not Modified\r\n[\s\S]*ETag: x[\s\S]*\r\n\r\n$/);
  client.write(get(upstream, '/'));
  t.regex(await readUntil(client, 'content'), /^HTTP\/1\.1 200 OK\r\n/);
});

test('http: an answer that the upstream ends by closing comes whole, in HTTP/1.1 and HTTP/1.0', async (t) => {
  const upstream = await startTcp(t, (socket) => {
    socket.once('data', () => socket.end('HTTP/1.0 200 Fine\r\nServer: x\r\n\r\nuntil the end'));
  });
  const { port } = await startProxy(t);
  const modern = await talk(t, port, get(upstream, '/', 'a.test', 'Connection: close\r\n'));
  t.regex(modern, /^HTTP\/1\.1 200 Fine\r\n[\s\S]*Transfer-Encoding: chunked\r\n[\s\S]*until the end\r\n0\r\n\r\n$/);
  const old = await talk(t, port, `GET http://a.test:${upstream}/ HTTP/1.0\r\n\r\n`);
  t.regex(old, /\r\n\r\nuntil the end$/);
  t.notRegex(old, /chunked/i);
});

const truncated = test.macro(async (t, response: string, version: string, ending: RegExp) => {
  const upstream = await startTcp(t, (socket) => {
    socket.once('data', () => socket.write(response, () => setTimeout(() => socket.resetAndDestroy(), 30)));
  });
  const { port, told } = await startProxy(t);
  const client = await open(t, port);
  let errno: string | undefined;
  client.on('error', (error: NodeJS.ErrnoException) => {
    errno = error.code;
  });
  client.write(`GET http://a.test:${upstream}/ HTTP/${version}\r\nHost: a\r\n\r\n`);
  const reply = await readAll(client);
  t.regex(reply, ending);
  if (version === '1.0') t.is(errno, 'ECONNRESET');
  await until(() => told.closed.length === 1);
  t.like(told.closed[0], { complete: false, bytesDown: 4, status: 200 });
});
const head = 'HTTP/1.1 200 OK\r\n';
test(
  'http: a response cut short of its length is cut short',
  truncated,
  `${head}Content-Length: 9\r\n\r\npart`,
  '1.1',
  /part$/,
);
test(
  'http: chunks cut short have no last chunk',
  truncated,
  `${head}Transfer-Encoding: chunked\r\n\r\n4\r\npart\r\n`,
  '1.1',
  /part\r\n$/,
);
test('http: a reset is passed on where only the end tells the length', truncated, `${head}\r\npart`, '1.0', /part$/);

test('http: an upstream that breaks off or is not HTTP is 502', async (t) => {
  const replies: Readonly<Record<string, string>> = {
    '': 'UPSTREAM_UNREACHABLE',
    'SSH-2.0-OpenSSH_9.2\r\n': 'UPSTREAM_MALFORMED',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n': 'UPSTREAM_MALFORMED',
    'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab': 'UPSTREAM_MALFORMED',
    'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n': 'UPSTREAM_MALFORMED',
    'HTTP/1.1 200 OK\r\nX: a\r\n folded\r\n\r\n': 'UPSTREAM_MALFORMED',
    'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n': 'UPSTREAM_MALFORMED',
  };
  for (const [response, code] of Object.entries(replies)) {
    const upstream = await startTcp(t, (socket) => socket.once('data', () => socket.end(response, 'latin1')));
    const { port, told } = await startProxy(t);
    const reply = await talk(t, port, get(upstream));
    t.regex(reply, /^HTTP\/1\.1 502 Bad Gateway\r\n/, response);
    t.is(errorOf(reply)['code'], code, response);
    t.like(told.closed, [{ status: 502, complete: false }], response);
  }
});

test('http: a 200 that offers an upgrade is an ordinary answer, and 103 is passed over', async (t) => {
  const upstream = await startTcp(t, (socket) => {
    const offer = 'HTTP/1.1 200 OK\r\nUpgrade: h2,h2c\r\nConnection: Upgrade, close\r\nContent-Length: 2\r\n\r\nok';
    socket.once('data', () => socket.end(`HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n${offer}`));
  });
  const { port } = await startProxy(t);
  t.regex(
    await talk(t, port, get(upstream, '/', 'a.test', 'Connection: close\r\n')),
    /^HTTP\/1\.1 200 OK\r\n[\s\S]*ok$/,
  );
});

test('http: 100-continue comes from the upstream, and the body only then', async (t) => {
  const seen: string[] = [];
  const upstream = await startTcp(t, (socket) => {
    socket.on('data', (chunk) => {
      seen.push(String(chunk));
      if (seen.length === 1) socket.write('HTTP/1.1 100 Continue\r\n\r\n');
      else socket.end('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone');
    });
  });
  const { port } = await startProxy(t);
  const client = await open(t, port);
  client.write(
    `PUT http://a.test:${upstream}/ HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n`,
  );
  t.is(await readUntil(client, '\r\n\r\n'), 'HTTP/1.1 100 Continue\r\n\r\n');
  t.regex(seen[0] ?? '', /\r\nExpect: 100-continue\r\n/);
  client.write('body');
  t.regex(await readUntil(client, 'done'), /^HTTP\/1\.1 200 OK/);
  t.is(seen[1], 'body');
});

test('http: a denied request with Expect gets 403 and no 100', async (t) => {
  const { port } = await startProxy(t);
  const client = await open(t, port);
  client.write('PUT http://denied.test/ HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n');
  const reply = await readUntil(client, '}}\n');
  t.regex(reply, /^HTTP\/1\.1 403 [\s\S]*\r\nConnection: close\r\n/);
  client.end();
  await once(client, 'close');
});

test('http: a denied upload is answered before its connection closes', async (t) => {
  const { port } = await startProxy(t);
  const client = await open(t, port);
  const body = Buffer.alloc(4 * 1024 * 1024);
  client.write(`POST http://denied.test/ HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n`);
  client.write(body);
  t.regex(await readAll(client), /^HTTP\/1\.1 403 [\s\S]*HOST_NOT_ALLOWED/);
});

test('http: an answer that comes before the upload is whole is passed on, and the connection ends', async (t) => {
  const upstream = await startTcp(t, (socket) => {
    socket.once('data', () => socket.write('HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nno\n'));
  });
  const { port } = await startProxy(t);
  const client = await open(t, port);
  client.write(`POST http://a.test:${upstream}/ HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\npart`);
  t.regex(await readAll(client), /^HTTP\/1\.1 413 [\s\S]*\r\nConnection: close\r\n[\s\S]*no\n$/);
});

test('http: a client that leaves ends the request to the upstream', async (t) => {
  let gone = false;
  const upstream = await startTcp(t, (socket) => {
    socket.on('end', () => {
      gone = true;
    });
    socket.resume();
  });
  const { port, told } = await startProxy(t);
  const client = await open(t, port);
  client.write(`POST http://a.test:${upstream}/ HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\npart`);
  await until(() => told.outcomes.length === 1);
  client.destroy();
  await until(() => gone && told.closed.length === 1);
  t.false(told.closed[0]?.complete);
  t.is(told.closed[0]?.status, undefined);
});

test('http: a body with a bad chunk reaches the upstream unfinished, and the client gets 400', async (t) => {
  let got = '';
  const upstream = await startTcp(t, (socket) => {
    socket.on('data', (chunk) => {
      got += String(chunk);
    });
  });
  const { port, told } = await startProxy(t);
  const client = await open(t, port);
  client.write(`POST http://a.test:${upstream}/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n`);
  await until(() => got.includes('abc'));
  client.write('0x3\r\ndef\r\n0\r\n\r\n');
  t.regex(await readAll(client), /^HTTP\/1\.1 400 /);
  await until(() => told.closed.length === 1);
  t.false(/\r\n0\r\n/.test(got));
  t.notRegex(got, /def/);
});

test('http: a client that has ended its side gets its answer', async (t) => {
  const upstream = await startHttp(t, (_request, response) => void setTimeout(() => response.end('slow'), 50));
  const { port } = await startProxy(t);
  const client = await open(t, port);
  client.end(get(upstream));
  t.regex(await readAll(client), /^HTTP\/1\.1 200 OK\r\n[\s\S]*slow/);
});

test('http: what is no request for a proxy is told so', async (t) => {
  const { port, told } = await startProxy(t);
  const cases: Readonly<Record<string, readonly [number, string]>> = {
    'GET / HTTP/1.1\r\nHost: a\r\n\r\n': [400, 'NOT_A_PROXY_REQUEST'],
    'OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n': [400, 'NOT_A_PROXY_REQUEST'],
    'GET https://a.test/ HTTP/1.1\r\nHost: a\r\n\r\n': [400, 'SCHEME_UNSUPPORTED'],
    'GET http://u:p@a.test/ HTTP/1.1\r\nHost: a\r\n\r\n': [400, 'REQUEST_MALFORMED'],
    'TRACE http://a.test/ HTTP/1.1\r\nHost: a\r\n\r\n': [405, 'METHOD_NOT_ALLOWED'],
    'GET http://a.test/ HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n': [
      501,
      'UPGRADE_UNSUPPORTED',
    ],
    'GET http://a.test/ HTTP/1.1\r\nHost: a\r\nExpect: tea\r\n\r\n': [417, 'EXPECTATION_FAILED'],
    '\x16\x03\x01\x02\x00\x01\x00\x01\xfc': [400, 'REQUEST_MALFORMED'],
  };
  for (const [request, [status, code]] of Object.entries(cases)) {
    const reply = await talk(t, port, request);
    t.is(Number(reply.split(' ')[1]), status, request);
    t.is(errorOf(reply)['code'], code, request);
    t.regex(reply, /\r\nConnection: close\r\n/, request);
    if (status === 405) t.regex(reply, /\r\nAllow: /);
  }
  t.is(told.outcomes.length, 0);
  t.is(told.invalid.length, Object.keys(cases).length);
});
