import test, { type ExecutionContext } from 'ava';
import type { ProxyOptions } from './model.ts';
import { errorOf, open, readAll, readUntil, startHttp, startProxy, startTcp, talk, until } from './test-harness.ts';

/** A guest proxy that denies `guest-denied.test`, before a gateway that denies `denied.test`. */
async function startChain(t: ExecutionContext, gatewayOptions: Partial<ProxyOptions> = {}) {
  const gateway = await startProxy(t, gatewayOptions);
  const guest = await startProxy(t, {
    name: 'guest-proxy',
    upstream: { kind: 'chain', host: '127.0.0.1', port: gateway.port },
    decide: ({ host }) =>
      host === 'guest-denied.test'
        ? { kind: 'deny', code: 'HOST_NOT_ALLOWED', reason: 'The guest says no', hint: '' }
        : { kind: 'allow', rule: 'guest-rule' },
  });
  return { guest, gateway };
}

const connectTo = (port: number, host = 'a.test') => `CONNECT ${host}:${port} HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
const get = (port: number, host = 'a.test') =>
  `GET http://${host}:${port}/x HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;

test('chain: CONNECT passes both proxies, with the bytes that come first from either side', async (t) => {
  const upstream = await startTcp(t, (socket) => {
    socket.write('banner ');
    socket.pipe(socket);
  });
  const { guest, gateway } = await startChain(t);
  const client = await open(t, guest.port);
  client.end(`${connectTo(upstream)}early`);
  t.is(await readAll(client), 'HTTP/1.1 200 Connection Established\r\n\r\nbanner early');
  await until(() => guest.told.closed.length === 1 && gateway.told.closed.length === 1);
  t.like(guest.told.outcomes, [{ result: 'open', by: 'guest-proxy', rule: 'guest-rule', status: 200 }]);
  t.like(gateway.told.outcomes, [{ result: 'open', by: 'gateway', rule: 'test-rule', resolvedAddress: '127.0.0.1' }]);
  t.like(guest.told.closed[0], { bytesUp: 5, bytesDown: 12, complete: true });
  t.like(gateway.told.closed[0], { bytesUp: 5, bytesDown: 12, complete: true });
});

test('chain: an absolute-form request passes both proxies and names both in Via', async (t) => {
  const upstream = await startHttp(t, (request, response) => {
    response.setHeader('Proxy-Status', 'gateway; error=http_request_denied');
    response.writeHead(403).end(JSON.stringify([request.url, request.headers]));
  });
  const { guest, gateway } = await startChain(t);
  const reply = await talk(t, guest.port, get(upstream));
  t.regex(reply, /^HTTP\/1\.1 403 Forbidden\r\n[\s\S]*\r\nVia: 1\.1 gateway\r\nVia: 1\.1 guest-proxy\r\n/);
  t.regex(reply, /"via":"1\.1 guest-proxy, 1\.1 gateway"/);
  t.regex(reply, /\["\/x",/);
  // The upstream's own 403, though it forges the mark of the gateway, is no refusal by the gateway.
  t.like(guest.told.outcomes, [{ result: 'open', by: 'guest-proxy' }]);
  await until(() => guest.told.closed.length === 1 && gateway.told.closed.length === 1);
  t.like(guest.told.closed, [{ status: 403, complete: true }]);
});

for (const [form, request] of Object.entries({ CONNECT: connectTo, 'absolute form': get })) {
  test(`chain: a denial by the guest proxy stays in the guest (${form})`, async (t) => {
    const { guest, gateway } = await startChain(t);
    const reply = await talk(t, guest.port, request(80, 'guest-denied.test'));
    t.like(errorOf(reply), { by: 'guest-proxy', reason: 'The guest says no' });
    t.like(guest.told.outcomes, [{ result: 'denied', by: 'guest-proxy' }]);
    t.deepEqual(gateway.told.outcomes, []);
  });

  test(`chain: a denial by the gateway is passed on as it is (${form})`, async (t) => {
    const { guest, gateway } = await startChain(t);
    const straight = await talk(t, gateway.port, request(80, 'denied.test'));
    const chained = await talk(t, guest.port, request(80, 'denied.test'));
    t.regex(chained, /^HTTP\/1\.1 403 Forbidden\r\n/);
    t.deepEqual(errorOf(chained), errorOf(straight));
    t.like(errorOf(chained), { by: 'gateway', code: 'HOST_NOT_ALLOWED', host: 'denied.test', port: 80 });
    t.like(guest.told.outcomes, [
      { result: 'denied', by: 'gateway', status: 403, rule: 'guest-rule', denial: { code: 'HOST_NOT_ALLOWED' } },
    ]);
    t.deepEqual(guest.told.closed, []);
  });

  test(`chain: a failure of the gateway is passed on as a failure (${form})`, async (t) => {
    const { guest } = await startChain(t);
    const reply = await talk(t, guest.port, request(80, 'nowhere.test'));
    t.regex(reply, /^HTTP\/1\.1 502 Bad Gateway\r\n/);
    t.is(errorOf(reply)['by'], 'gateway');
    t.like(guest.told.outcomes, [
      { result: 'failed', by: 'gateway', status: 502, failure: { code: 'NAME_UNRESOLVED' } },
    ]);
  });

  test(`chain: a gateway that is not there is 502 by the guest proxy (${form})`, async (t) => {
    // Nothing listens on the port; one that a test has closed could be another test's by now.
    const guest = await startProxy(t, {
      name: 'guest-proxy',
      upstream: { kind: 'chain', host: '127.0.0.1', port: 1 },
    });
    const reply = await talk(t, guest.port, request(80));
    t.like(errorOf(reply), { code: 'GATEWAY_UNREACHABLE', by: 'guest-proxy' });
    t.like(guest.told.outcomes, [{ result: 'failed', by: 'guest-proxy', failure: { errno: 'ECONNREFUSED' } }]);
  });

  test(`chain: a gateway that breaks off is 502 by the guest proxy (${form})`, async (t) => {
    const broken = await startTcp(t, (socket) => socket.once('data', () => socket.destroy()));
    const guest = await startProxy(t, {
      name: 'guest-proxy',
      upstream: { kind: 'chain', host: '127.0.0.1', port: broken },
    });
    const reply = await talk(t, guest.port, request(80));
    t.like(errorOf(reply), { code: 'GATEWAY_UNREACHABLE', by: 'guest-proxy' });
  });
}

test('chain: an answer of the gateway is bounded, and odd ones are failures', async (t) => {
  const body = 'x'.repeat(300_000);
  const gateway = await startTcp(t, (socket) => {
    socket.once('data', () =>
      socket.write(`HTTP/1.1 403 Forbidden\r\nX: y\r\nContent-Length: ${body.length}\r\n\r\n${body}`),
    );
  });
  const guest = await startProxy(t, {
    name: 'guest-proxy',
    upstream: { kind: 'chain', host: '127.0.0.1', port: gateway },
  });
  const reply = await talk(t, guest.port, connectTo(443));
  t.regex(reply, /\r\nContent-Length: 65536\r\n/);
  t.notRegex(reply, /X: y/);
  t.is(reply.length - reply.indexOf('\r\n\r\n') - 4, 65536);
  t.like(guest.told.outcomes, [{ result: 'failed', by: 'gateway', failure: { code: 'GATEWAY_REFUSED' } }]);
});

test('chain: a gateway that is silent is 504 for CONNECT', async (t) => {
  const gateway = await startTcp(t, (socket) => socket.resume());
  const guest = await startProxy(t, {
    name: 'guest-proxy',
    upstream: { kind: 'chain', host: '127.0.0.1', port: gateway },
    limits: { connectTimeoutMs: 50 },
  });
  t.like(errorOf(await talk(t, guest.port, connectTo(443))), { code: 'UPSTREAM_TIMEOUT', by: 'guest-proxy' });
});

test('chain: the client that leaves takes both proxies’ connections with it', async (t) => {
  const upstream = await startTcp(t, (socket) => socket.resume());
  const { guest, gateway } = await startChain(t);
  const client = await open(t, guest.port);
  client.write(connectTo(upstream));
  await readUntil(client, '\r\n\r\n');
  client.resetAndDestroy();
  await until(() => guest.told.closed.length === 1 && gateway.told.closed.length === 1);
  t.is(guest.proxy.stats().active + gateway.proxy.stats().active, 0);
});
