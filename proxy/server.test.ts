import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { promisify } from 'node:util';
import test from 'ava';
import { start, TapwardenError } from '../base/index.ts';
import { createProxy } from './server.ts';
import {
  errorOf,
  loopbackDial,
  open,
  readAll,
  readUntil,
  startHttp,
  startProxy,
  startTcp,
  talk,
  until,
} from './test-harness.ts';

test('listen() tells a taken port, a bad address and a second call apart', async (t) => {
  const { proxy, port } = await startProxy(t);
  const other = createProxy({
    name: 'gateway',
    decide: () => ({ kind: 'allow', rule: 'x' }),
    upstream: { kind: 'chain', host: '127.0.0.1', port: 1 },
  });
  const code = async (listening: Promise<unknown>): Promise<string | undefined> =>
    (await t.throwsAsync(listening, { instanceOf: TapwardenError }))?.code;
  t.is(await code(other.listen({ kind: 'address', host: '127.0.0.1', port })), 'PORT_IN_USE');
  t.is(await code(other.listen({ kind: 'address', host: '192.0.2.1', port: 0 })), 'LISTEN_FAILED');
  t.is(await code(other.listen({ kind: 'fd', fd: 9999 })), 'LISTEN_FAILED');
  t.is(await code(other.listen({ kind: 'server', server: createServer() })), 'LISTEN_FAILED');
  t.is(await code(proxy.listen({ kind: 'address', host: '127.0.0.1', port: 0 })), 'STATE_ILLEGAL');
  await other.listen({ kind: 'address', host: '127.0.0.1', port: 0 });
  await other.close();
  t.is(await code(other.listen({ kind: 'address', host: '127.0.0.1', port: 0 })), 'STATE_ILLEGAL');
});

test('listen() takes a listening server that was made elsewhere, with half-close and deadlines', async (t) => {
  const upstream = await startTcp(t, (socket) => {
    socket.on('end', () => setTimeout(() => socket.end('after your end'), 30));
    socket.resume();
  });
  const server: Server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const proxy = createProxy({
    name: 'gateway',
    decide: () => ({ kind: 'allow', rule: 'x' }),
    upstream: loopbackDial,
    limits: { headersTimeoutMs: 60 },
  });
  t.deepEqual(await proxy.listen({ kind: 'server', server }), { address: '127.0.0.1', port });
  const client = await open(t, port);
  client.end(`CONNECT a.test:${upstream} HTTP/1.1\r\n\r\n`);
  t.regex(await readAll(client), /after your end$/);
  t.regex(await talk(t, port, ''), /^HTTP\/1\.1 408 /);
  await proxy.close();
  t.false(server.listening);
});

test('listen() takes a listening descriptor of another process', async (t) => {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const fd = Number(Reflect.get(Reflect.get(server, '_handle'), 'fd'));
  const script = `
    import { createProxy } from './build/proxy/index.js';
    const decide = () => ({ kind: 'deny', code: 'FROM_CHILD', reason: 'x', hint: 'x' });
    const proxy = createProxy({ name: 'gateway', decide, upstream: { kind: 'chain', host: '127.0.0.1', port: 1 } });
    await proxy.listen({ kind: 'fd', fd: 3 });
    process.stdin.resume().once('end', () => proxy.close());
    process.stdout.write('ready');
  `;
  const child = start([process.execPath, '--input-type=module', '-e', script], {
    stdio: ['pipe', 'pipe', 'inherit', fd],
  });
  t.teardown(() => child.process.kill('SIGKILL'));
  if (child.process.stdout === null) return t.fail('no standard output');
  await once(child.process.stdout, 'data');
  // From here on the child alone accepts.
  server.close();
  t.is(errorOf(await talk(t, port, 'CONNECT a.test:443 HTTP/1.1\r\n\r\n'))['code'], 'FROM_CHILD');
  child.process.stdin?.end();
  t.is((await child.ended).status, 0, 'after close() nothing keeps the process');
});

test('a client without a whole head in time gets 408 and is closed', async (t) => {
  const { port, told } = await startProxy(t, { limits: { headersTimeoutMs: 60 } });
  for (const bytes of ['', 'GET http://a.test/ HTTP/1.1\r\nHost:', 'CONNECT a.test:443']) {
    const reply = await talk(t, port, bytes);
    t.regex(reply, /^HTTP\/1\.1 408 Request Timeout\r\n/);
    t.is(errorOf(reply)['code'], 'REQUEST_TIMEOUT');
  }
  t.is(told.invalid.length, 3);
});

test('a client that trickles its head gets 408 all the same', async (t) => {
  const { port } = await startProxy(t, { limits: { headersTimeoutMs: 100 } });
  const client = await open(t, port);
  const trickle = setInterval(() => client.write('G'), 10);
  const reply = await readAll(client);
  clearInterval(trickle);
  t.regex(reply, /^HTTP\/1\.1 4\d\d /);
});

test('a kept-alive connection at rest is closed without an answer', async (t) => {
  const upstream = await startHttp(t, (_request, response) => response.end('ok'));
  const { port } = await startProxy(t, { limits: { headersTimeoutMs: 60 } });
  const client = await open(t, port);
  client.write(`GET http://a.test:${upstream}/ HTTP/1.1\r\nHost: a\r\n\r\n`);
  await readUntil(client, 'ok');
  t.notRegex(await readAll(client), /HTTP/);
});

test('a response that stalls is 504 before it begins', async (t) => {
  const upstream = await startTcp(t, (socket) => socket.resume());
  const { port, told } = await startProxy(t, { limits: { idleTimeoutMs: 60 } });
  const reply = await talk(t, port, `GET http://a.test:${upstream}/ HTTP/1.1\r\nHost: a\r\n\r\n`);
  t.regex(reply, /^HTTP\/1\.1 504 Gateway Timeout\r\n/);
  t.like(told.closed, [{ status: 504, complete: false }]);
});

test('a head that is too large is 431', async (t) => {
  const { port } = await startProxy(t, { limits: { maxHeaderBytes: 2048 } });
  const reply = await talk(t, port, `GET http://a.test/ HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(4000)}\r\n\r\n`);
  t.regex(reply, /^HTTP\/1\.1 431 /);
  t.is(errorOf(reply)['code'], 'HEADERS_TOO_LARGE');
});

test('more headers than Node counts are judged all the same', async (t) => {
  const { port } = await startProxy(t);
  const reply = await talk(
    t,
    port,
    `GET http://a.test/ HTTP/1.1\r\nHost: a\r\n${'a:\r\n'.repeat(2500)}Host: b\r\n\r\n`,
  );
  t.regex(reply, /^HTTP\/1\.1 400 [\s\S]*more than one Host/);
});

test('one connection too many is 503, and a freed place is taken', async (t) => {
  const upstream = await startTcp(t, (socket) => socket.resume());
  const { port } = await startProxy(t, { limits: { maxConnections: 2 } });
  const connect = `CONNECT a.test:${upstream} HTTP/1.1\r\n\r\n`;
  const held = [await open(t, port), await open(t, port)];
  for (const client of held) {
    client.write(connect);
    await readUntil(client, '\r\n\r\n');
  }
  const reply = await talk(t, port, connect);
  t.regex(reply, /^HTTP\/1\.1 503 Service Unavailable\r\n/);
  t.is(errorOf(reply)['code'], 'TOO_MANY_CONNECTIONS');
  for (const client of held) client.resetAndDestroy();
  await new Promise((resolve) => setTimeout(resolve, 1100));
  const next = await open(t, port);
  next.write(connect);
  t.regex(await readUntil(next, '\r\n\r\n'), /^HTTP\/1\.1 200 /);
});

test('close() ends tunnels, requests and dials in work, and leaves nothing', async (t) => {
  let upstreamOpen = 0;
  const upstream = await startTcp(t, (socket) => {
    upstreamOpen += 1;
    socket.on('end', () => socket.end());
    socket.on('close', () => {
      upstreamOpen -= 1;
    });
    socket.resume();
  });
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const results: string[] = [];
  const proxy = createProxy({
    name: 'gateway',
    decide: ({ host }) => (host === 'slow.test' ? new Promise(() => undefined) : { kind: 'allow', rule: 'x' }),
    upstream: loopbackDial,
    onOutcome: ({ result }) => results.push(result),
  });
  await proxy.listen({ kind: 'server', server });
  const clients = await Promise.all([...Array(5).keys()].map(() => open(t, port)));
  const ends = clients.map(readAll);
  clients[0]?.write(`CONNECT a.test:${upstream} HTTP/1.1\r\n\r\n`);
  clients[1]?.write(`GET http://a.test:${upstream}/ HTTP/1.1\r\nHost: a\r\n\r\n`);
  clients[2]?.write('CONNECT slow.test:443 HTTP/1.1\r\n\r\n');
  clients[3]?.write('GET http://a.te');
  await until(() => upstreamOpen === 2);
  await Promise.all([proxy.close(), proxy.close()]);
  t.is(await promisify(server.getConnections.bind(server))(), 0);
  t.is(proxy.stats().active, 0);
  t.deepEqual(results, ['open', 'open', 'failed']);
  await Promise.all(ends);
  await until(() => upstreamOpen === 0);
  await t.throwsAsync(open(t, port));
});

test('a client that never reads its response is cut off', async (t) => {
  const upstream = await startHttp(t, (_request, response) => response.end(Buffer.alloc(32 * 1024 * 1024)));
  const { port, told } = await startProxy(t, { limits: { idleTimeoutMs: 500 } });
  const client = await open(t, port);
  client.pause();
  client.write(`GET http://a.test:${upstream}/ HTTP/1.1\r\nHost: a\r\n\r\n`);
  await until(() => told.closed.length === 1);
  t.like(told.closed, [{ complete: false, status: 200 }]);
  const reading = readAll(client);
  client.resume();
  t.true((await reading).length < 32 * 1024 * 1024);
});
