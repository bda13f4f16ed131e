import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import test from 'ava';
import { createDirectDial } from './direct-dial.ts';
import { errorOf, isHeldBack, open, readAll, readUntil, startProxy, startTcp, talk, until } from './test-harness.ts';

const connectTo = (port: number, host = 'a.test'): string =>
  `CONNECT ${host}:${port} HTTP/1.1\r\nHost: ${host}\r\n\r\n`;

test('CONNECT allowed: bytes pass both ways, the heads first, and the record has both ends', async (t) => {
  const upstream = await startTcp(t, (socket) => {
    socket.write('banner ');
    socket.pipe(socket);
  });
  const { proxy, port, told } = await startProxy(t);
  const client = await open(t, port);
  // The payload comes in one packet with the request, as from a client that does not wait for the answer.
  client.write(`${connectTo(upstream)}early `);
  t.is(await readUntil(client, 'early '), 'HTTP/1.1 200 Connection Established\r\n\r\nbanner early ');
  client.write('late');
  t.is(await readUntil(client, 'late'), 'late');
  t.is(proxy.stats().active, 1);
  client.end();
  t.is(await readAll(client), '');
  await until(() => told.closed.length === 1);
  t.like(told.outcomes, [
    { result: 'open', status: 200, rule: 'test-rule', by: 'gateway', resolvedAddress: '127.0.0.1' },
  ]);
  t.like(told.outcomes[0]?.request, { kind: 'connect', host: 'a.test', port: upstream, method: 'CONNECT' });
  t.is(told.outcomes[0]?.request.client.address, '127.0.0.1');
  t.like(told.closed[0], { bytesUp: 10, bytesDown: 17, complete: true });
  t.deepEqual(proxy.stats(), { allowed: 1, denied: 0, failed: 0, invalid: 0, active: 0 });
});

test('CONNECT denied: 403 with the reason, of the stated length, and the connection closes', async (t) => {
  const { port, told, proxy } = await startProxy(t);
  const reply = await talk(t, port, `${connectTo(443, 'denied.test')}payload that nobody asked for`);
  t.regex(reply, /^HTTP\/1\.1 403 Forbidden\r\n/);
  t.regex(reply, /\r\nContent-Type: application\/json\r\n/);
  t.regex(reply, /\r\nConnection: close\r\n/);
  t.regex(reply, /\r\nProxy-Status: gateway; error=http_request_denied; details="HOST_NOT_ALLOWED"\r\n/);
  const body = reply.slice(reply.indexOf('\r\n\r\n') + 4);
  t.is(Number(/Content-Length: (\d+)/.exec(reply)?.[1]), body.length);
  t.deepEqual(JSON.parse(body), {
    error: {
      code: 'HOST_NOT_ALLOWED',
      reason: 'No rule allows it',
      hint: 'Add one',
      host: 'denied.test',
      port: 443,
      by: 'gateway',
    },
  });
  t.like(told.outcomes, [{ result: 'denied', status: 403, denial: { code: 'HOST_NOT_ALLOWED' }, by: 'gateway' }]);
  t.is(proxy.stats().denied, 1);
});

const failing = test.macro(
  async (t, request: string, status: number, code: string, options: Parameters<typeof startProxy>[1] = {}) => {
    const { port, told, proxy } = await startProxy(t, options);
    const reply = await talk(t, port, request);
    t.is(Number(reply.split(' ')[1]), status);
    t.is(errorOf(reply)['code'], code);
    t.is(told.outcomes.length, 1);
    t.is(proxy.stats().active, 0);
  },
);
test('CONNECT failed: nothing listens', failing, connectTo(1), 502, 'UPSTREAM_UNREACHABLE');
test('CONNECT failed: no address', failing, connectTo(443, 'nowhere.test'), 502, 'NAME_UNRESOLVED');
test('CONNECT failed: the address is forbidden', failing, connectTo(443, '127.0.0.66'), 403, 'ADDRESS_FORBIDDEN');
test('CONNECT failed: the dial takes too long', failing, connectTo(443), 504, 'UPSTREAM_TIMEOUT', {
  limits: { connectTimeoutMs: 40 },
  upstream: { kind: 'direct', dial: () => new Promise(() => undefined) },
});
test('CONNECT failed: the decision takes too long', failing, connectTo(443), 504, 'UPSTREAM_TIMEOUT', {
  limits: { connectTimeoutMs: 40 },
  decide: () => new Promise(() => undefined),
});
test('CONNECT failed: the decision throws', failing, connectTo(443), 500, 'PROXY_INTERNAL', {
  decide: () => {
    throw new Error('bug');
  },
});

test('CONNECT is refused when its outcome cannot be recorded', async (t) => {
  const upstream = await startTcp(t, (socket) => socket.end('secret'));
  const { port, proxy, told } = await startProxy(t, {
    onOutcome: () => {
      throw new Error('disk full');
    },
  });
  const reply = await talk(t, port, connectTo(upstream));
  t.is(errorOf(reply)['code'], 'PROXY_INTERNAL');
  t.like(proxy.stats(), { allowed: 0, failed: 1, active: 0 });
  t.is(told.internal.length, 1);
});

test('CONNECT is refused 400 when its target is not host:port, and is no outcome', async (t) => {
  const { port, told } = await startProxy(t);
  for (const target of ['a.test', 'a.test:0', 'a.test:443/x', 'u@a.test:443', '[::1]', '::1:443', 'http://a.test/']) {
    const reply = await talk(t, port, `CONNECT ${target} HTTP/1.1\r\nHost: a\r\n\r\n`);
    t.regex(reply, /^HTTP\/1\.1 400 /, target);
    t.is(errorOf(reply)['code'], 'REQUEST_MALFORMED', target);
  }
  t.is(told.outcomes.length, 0);
  t.is(told.invalid.length, 7);
});

test('CONNECT takes an IPv6 authority and gives it to the decision without brackets', async (t) => {
  const hosts: string[] = [];
  const { port } = await startProxy(t, {
    decide: ({ host }) => {
      hosts.push(host);
      return { kind: 'deny', code: 'X', reason: 'x', hint: 'x' };
    },
  });
  const reply = await talk(t, port, 'CONNECT [2001:DB8::1]:443 HTTP/1.1\r\n\r\n');
  t.deepEqual(hosts, ['2001:db8::1']);
  t.is(errorOf(reply)['host'], '2001:db8::1');
});

test('CONNECT passes the end of one direction on and keeps the other open', async (t) => {
  const upstream = await startTcp(t, (socket) => {
    let got = '';
    socket.on('data', (chunk) => {
      got += String(chunk);
    });
    // It answers only when it has seen the end of the request, as `nc -N` and some protocols do.
    socket.on('end', () => setTimeout(() => socket.end(`answer to ${got}`), 30));
  });
  const { port, told } = await startProxy(t);
  const client = await open(t, port);
  client.end(`${connectTo(upstream)}question`);
  t.is(await readAll(client), 'HTTP/1.1 200 Connection Established\r\n\r\nanswer to question');
  await until(() => told.closed.length === 1);
  t.true(told.closed[0]?.complete);
});

test('CONNECT passes 20 MB in both directions at once, whole', async (t) => {
  const size = 20 * 1024 * 1024;
  const upstream = await startTcp(t, (socket) => void socket.pipe(socket));
  const { port, told } = await startProxy(t);
  const client = await open(t, port);
  client.write(connectTo(upstream));
  await readUntil(client, '\r\n\r\n');
  const sent = randomBytes(size);
  const received = createHash('sha256');
  client.on('data', (chunk: Buffer) => received.update(chunk));
  client.end(sent);
  await once(client, 'end');
  t.is(received.digest('hex'), createHash('sha256').update(sent).digest('hex'));
  await until(() => told.closed.length === 1);
  t.like(told.closed[0], { bytesUp: size, bytesDown: size, complete: true });
});

test('CONNECT holds back a sender whose receiver does not read, in either direction', async (t) => {
  const senders: Socket[] = [];
  const upstream = await startTcp(t, (socket) => {
    socket.pause();
    senders.push(socket);
  });
  const { port } = await startProxy(t);
  const client = await open(t, port);
  client.write(connectTo(upstream));
  await readUntil(client, '\r\n\r\n');
  client.pause();
  await until(() => senders.length === 1);
  t.true(await isHeldBack(client));
  t.true(senders[0] !== undefined && (await isHeldBack(senders[0])));
});

test('CONNECT turns a reset of the upstream into a reset of the client', async (t) => {
  const upstream = await startTcp(t, (socket) => socket.once('data', () => socket.resetAndDestroy()));
  const { port, told } = await startProxy(t);
  const client = await open(t, port);
  client.write(connectTo(upstream));
  await readUntil(client, '\r\n\r\n');
  const error = once(client, 'error').catch(() => undefined);
  client.write('x');
  t.like(await error, [{ code: 'ECONNRESET' }]);
  await until(() => told.closed.length === 1);
  t.false(told.closed[0]?.complete);
});

test('CONNECT turns a reset of the client into a reset of the upstream', async (t) => {
  let errno: string | undefined;
  const upstream = await startTcp(t, (socket) => {
    socket.on('error', (error: NodeJS.ErrnoException) => {
      errno = error.code;
    });
    socket.resume();
  });
  const { port, told } = await startProxy(t);
  const client = await open(t, port);
  client.write(connectTo(upstream));
  await readUntil(client, '\r\n\r\n');
  client.resetAndDestroy();
  await until(() => errno !== undefined && told.closed.length === 1);
  t.is(errno, 'ECONNRESET');
  t.false(told.closed[0]?.complete);
});

test('CONNECT: a client that leaves before its answer ends the dial and has one outcome', async (t) => {
  let aborted = false;
  const { port, told, proxy } = await startProxy(t, {
    upstream: {
      kind: 'direct',
      dial: (_request, signal) =>
        new Promise(() => {
          signal.addEventListener('abort', () => {
            aborted = true;
          });
        }),
    },
  });
  const client = await open(t, port);
  client.write(connectTo(443));
  await new Promise((resolve) => setTimeout(resolve, 30));
  client.resetAndDestroy();
  await until(() => told.outcomes.length === 1);
  t.true(aborted);
  t.like(told.outcomes, [{ result: 'failed', status: 499, failure: { code: 'CLIENT_GONE' } }]);
  t.is(proxy.stats().active, 0);
});

test('CONNECT: an idle tunnel is closed', async (t) => {
  const upstream = await startTcp(t, (socket) => socket.resume());
  const { port, told } = await startProxy(t, { limits: { idleTimeoutMs: 60 } });
  const client = await open(t, port);
  client.write(connectTo(upstream));
  await readUntil(client, '\r\n\r\n');
  await readAll(client);
  await until(() => told.closed.length === 1);
  t.false(told.closed[0]?.complete);
});

test('CONNECT behind an unanswered request on the same connection closes it and mixes no bytes', async (t) => {
  const upstream = await startTcp(t, (socket) => socket.resume());
  const { port, told } = await startProxy(t);
  const first = `GET http://a.test:${upstream}/ HTTP/1.1\r\nHost: a\r\n\r\n`;
  t.is(await talk(t, port, `${first}${connectTo(upstream)}`), '');
  await until(() => told.outcomes.length === 1);
  t.is(told.outcomes[0]?.request.kind, 'http');
});

test('CONNECT refuses a name with a public and a forbidden address', async (t) => {
  const upstream = await startTcp(t, (socket) => socket.end('reached'));
  const dial = createDirectDial({
    resolve: async () => ['127.0.0.1', '127.0.0.66'],
    checkAddress: (address) =>
      address === '127.0.0.1' ? { kind: 'allow' } : { kind: 'deny', code: 'ADDRESS_FORBIDDEN', reason: 'no', hint: '' },
    connectTimeoutMs: 500,
  });
  const { port, told } = await startProxy(t, { upstream: { kind: 'direct', dial } });
  const reply = await talk(t, port, connectTo(upstream));
  t.is(errorOf(reply)['code'], 'ADDRESS_FORBIDDEN');
  t.like(told.outcomes, [{ result: 'denied', resolvedAddress: '127.0.0.66', rule: 'test-rule' }]);
});
