import { rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import test, { type ExecutionContext } from 'ava';
import { dir } from 'tmp-promise';
import { type HttpOptions, openHttp, parseRetryAfter } from './http-transport.ts';
import type { Transport } from './model.ts';
import { outgoingEvent } from './outgoing-event.ts';
import { SecretFile } from './secret-file.ts';

type Request = { readonly headers: IncomingHttpHeaders; readonly body: Buffer };

/** A receiver on loopback that answers as `answer` says, and what came to it. */
async function receiver(
  t: ExecutionContext,
  answer: (request: Request, response: ServerResponse) => void,
): Promise<{ readonly url: URL; readonly requests: readonly Request[]; readonly connections: () => number }> {
  const requests: Request[] = [];
  let connections = 0;
  const server = createServer((incoming, response) => {
    const pieces: Buffer[] = [];
    incoming.on('data', (piece: Buffer) => pieces.push(piece));
    incoming.on('end', () => {
      const request = { headers: incoming.headers, body: Buffer.concat(pieces) };
      requests.push(request);
      answer(request, response);
    });
  });
  server.on('connection', () => {
    connections += 1;
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.close();
    server.closeAllConnections();
  });
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : undefined;
  return { url: new URL(`http://127.0.0.1:${port}/in?key=k`), requests, connections: () => connections };
}

const lines = ['{"time":20,"a":"ü"}', '{"time":10}', '{}'];
const events = lines.map((line) => outgoingEvent(JSON.parse(line) as object, Buffer.from(line)));
const signal = new AbortController().signal;

async function opened(t: ExecutionContext, options: HttpOptions): Promise<Transport> {
  const transport = await openHttp(options);
  t.teardown(transport.close);
  return transport;
}

test('openHttp: JSON lines as they stand in the log, on one connection', async (t) => {
  const { url, requests, connections } = await receiver(t, (_, response) => response.writeHead(200).end('thanks'));
  const transport = await opened(t, { url });
  t.is(transport.name, `${url.origin}/in`, 'without the query');
  await transport.send(events, signal);
  await transport.send(events.slice(0, 1), signal);
  t.is(connections(), 1);
  const [first] = requests;
  t.is(first?.headers['content-type'], 'application/x-ndjson');
  t.is(first?.headers['content-encoding'], 'gzip');
  t.is(first?.headers.authorization, undefined);
  t.is(gunzipSync(first?.body ?? '').toString('utf8'), lines.map((line) => `${line}\n`).join(''));
});

test('openHttp: a bundle counts its events and says from when to when they are', async (t) => {
  const { url, requests } = await receiver(t, (_, response) => response.writeHead(204).end());
  await (await opened(t, { url, format: 'bundle', gzip: false })).send(events, signal);
  t.is(requests[0]?.headers['content-type'], 'application/json');
  t.is(requests[0]?.headers['content-encoding'], undefined);
  t.is(requests[0]?.body.toString('utf8'), `{"events":[${lines.join(',')}],"count":3,"start_time":10,"end_time":20}`);
});

for (const [status, code] of [
  [400, 'SINK_REFUSED'],
  [413, 'SINK_REFUSED'],
  [422, 'SINK_REFUSED'],
  [301, 'SINK_UNAVAILABLE'],
  [401, 'SINK_UNAVAILABLE'],
  [404, 'SINK_UNAVAILABLE'],
  [429, 'SINK_UNAVAILABLE'],
  [500, 'SINK_UNAVAILABLE'],
  [503, 'SINK_UNAVAILABLE'],
] as const) {
  test(`openHttp: an answer of ${status} is ${code}, with the receiver's words made harmless`, async (t) => {
    const { url, requests } = await receiver(t, (_, response) =>
      response.writeHead(status, { location: '/elsewhere', 'retry-after': '7' }).end('why\u001b[2J'),
    );
    const error = await t.throwsAsync<Error & { code: string; details: { retryAfterMs?: number } }>(
      (await opened(t, { url })).send(events, signal),
    );
    t.is(error?.code, code);
    t.true(error?.message.includes(`it answered ${status}: why\\x1b[2J`), error?.message);
    t.is(error?.details.retryAfterMs, code === 'SINK_REFUSED' ? undefined : 7000);
    t.is(requests.length, 1, 'nothing is followed');
  });
}

test('openHttp: no answer in time, a cut connection and a closed port are reasons to wait', async (t) => {
  const silent = await receiver(t, () => undefined);
  const late = { instanceOf: Error, code: 'SINK_UNAVAILABLE', message: /no answer within 50 ms/ };
  await t.throwsAsync((await opened(t, { url: silent.url, timeoutMs: 50 })).send(events, signal), late);
  const cut = await receiver(t, (_, response) => void response.socket?.destroy());
  await t.throwsAsync((await opened(t, { url: cut.url })).send(events, signal), { code: 'SINK_UNAVAILABLE' });
  const half = await receiver(t, (_, response) => {
    response.writeHead(200, { 'content-length': '10' }).write('12345', () => response.socket?.destroy());
  });
  await t.throwsAsync((await opened(t, { url: half.url })).send(events, signal), { code: 'SINK_UNAVAILABLE' });
  const closed = await opened(t, { url: new URL('http://127.0.0.1:1/') });
  await t.throwsAsync(closed.send(events, signal), { code: 'SINK_UNAVAILABLE', message: /ECONNREFUSED/ });
});

test('openHttp: a token that was replaced is used at once, and one that cannot be read is a reason to wait', async (t) => {
  const { path, cleanup } = await dir({ prefix: 'tapwarden-http-', unsafeCleanup: true });
  t.teardown(cleanup);
  const tokenFile = join(path, 'token');
  await writeFile(tokenFile, 'first\n');
  let wanted = 'Splunk first';
  const { url, requests } = await receiver(t, ({ headers }, response) =>
    response.writeHead(headers.authorization === wanted ? 200 : 401).end(),
  );
  const transport = await opened(t, { url, token: new SecretFile(tokenFile), tokenScheme: 'Splunk' });
  await transport.send(events, signal);
  wanted = 'Splunk second';
  await t.throwsAsync(transport.send(events, signal), { code: 'SINK_UNAVAILABLE', message: /401/ });
  await writeFile(tokenFile, 'second\n');
  await transport.send(events, signal);
  t.is(requests.length, 3);
  await rm(tokenFile);
  await t.throwsAsync(transport.send(events, signal), { code: 'SINK_UNAVAILABLE', message: /Cannot read the token/ });
});

test('parseRetryAfter: seconds or a date, an hour at most', (t) => {
  const nowMs = Date.parse('2026-09-21T14:13:20Z');
  t.is(parseRetryAfter('120', nowMs), 120_000);
  t.is(parseRetryAfter('Mon, 21 Sep 2026 14:13:50 GMT', nowMs), 30_000);
  t.is(parseRetryAfter('Mon, 21 Sep 2026 14:13:10 GMT', nowMs), 0);
  t.is(parseRetryAfter('999999', nowMs), 3_600_000);
  t.is(parseRetryAfter('soon', nowMs), undefined);
  t.is(parseRetryAfter(undefined, nowMs), undefined);
});
