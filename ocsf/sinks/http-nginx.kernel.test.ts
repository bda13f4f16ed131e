import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import type { ExecutionContext } from 'ava';
import { freePort, makeCertificate, type Peer, peerTest, scratchFolder, startPeer } from '../../e2e/support/peer.ts';
import { assertArrived, eventCount, eventLines, shipThroughKills } from '../../e2e/support/ship-through.ts';
import { openTransport } from './open-transport.ts';
import { outgoingEvent } from './outgoing-event.ts';
import { parseSinkAddress } from './sink-address.ts';

const secret = 'a-token-of-the-test';

/**
 * nginx that takes a request with the right token, has its body in a file of its own before anything else, and only then
 * asks a second server, itself, which answers 204.
 */
async function startNginx(
  t: ExecutionContext,
  folder: string,
  tls?: { readonly cert: string; readonly key: string },
): Promise<{ readonly peer: Peer; readonly port: number; readonly bodies: string }> {
  const [port, second] = [await freePort(), await freePort()];
  const bodies = join(folder, 'bodies');
  const config = join(folder, 'nginx.conf');
  const others = ['proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${folder}/${name};`).join(' ');
  await writeFile(
    config,
    `daemon off; master_process off; pid ${folder}/nginx.pid; error_log ${folder}/error.log;
events { worker_connections 64; }
http {
  access_log off; client_body_temp_path ${bodies}; ${others} client_max_body_size 16m;
  server {
    listen 127.0.0.1:${port}${tls === undefined ? '' : ' ssl'};
    ${tls === undefined ? '' : `ssl_certificate ${tls.cert}; ssl_certificate_key ${tls.key};`}
    location = /ocsf {
      if ($http_authorization != "Bearer ${secret}") { return 401; }
      client_body_in_file_only on;
      proxy_pass_request_body off;
      proxy_set_header Content-Length "";
      proxy_pass http://127.0.0.1:${second};
    }
  }
  server { listen 127.0.0.1:${second}; return 204; }
}
`,
  );
  const peer = await startPeer(t, ['nginx', '-e', join(folder, 'error.log'), '-c', config], port);
  return { peer, port, bodies };
}

/** The bodies that arrived whole, oldest first. At most `kills` of the files may be torn. */
async function bodiesIn(t: ExecutionContext, folder: string, kills: number): Promise<readonly string[]> {
  const names = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = await Promise.all(
    names
      .filter((entry) => entry.isFile())
      .map(async ({ parentPath, name }) => {
        const path = join(parentPath, name);
        return { bytes: await readFile(path), atNs: (await stat(path, { bigint: true })).mtimeNs };
      }),
  );
  const whole = files
    .sort((a, b) => Number(a.atNs - b.atNs))
    .flatMap(({ bytes }) => {
      try {
        return [gunzipSync(bytes).toString('utf8')];
      } catch {
        return [];
      }
    });
  t.true(files.length - whole.length <= kills, 'a body is torn only where nginx was killed');
  return whole;
}

peerTest(['nginx'], 'http: nginx is killed twice, and all events arrive as JSON lines', async (t) => {
  const folder = await scratchFolder(t);
  const { peer, port, bodies } = await startNginx(t, folder);
  const tokenFile = join(folder, 'token');
  await writeFile(tokenFile, `${secret}\n`, { mode: 0o600 });
  const lines = eventLines(eventCount);
  await shipThroughKills(t, { lines, to: `http://127.0.0.1:${port}/ocsf`, settings: { tokenFile }, folder, peer });
  const received = (await bodiesIn(t, bodies, 2)).flatMap((body) => body.trimEnd().split('\n'));
  assertArrived(t, lines, received);
});

type Bundle = {
  readonly events: readonly { readonly time: number }[];
  readonly count: number;
  readonly start_time: number;
  readonly end_time: number;
};

peerTest(['nginx', 'openssl'], 'https: nginx is killed twice, and all events arrive in bundles', async (t) => {
  const folder = await scratchFolder(t);
  const certificate = await makeCertificate(folder, 'nginx');
  const { peer, port, bodies } = await startNginx(t, folder, certificate);
  const tokenFile = join(folder, 'token');
  await writeFile(tokenFile, secret, { mode: 0o600 });
  const lines = eventLines(eventCount);
  const settings = { tokenFile, ca: certificate.cert, format: 'bundle' as const };
  await shipThroughKills(t, { lines, to: `https://127.0.0.1:${port}/ocsf`, settings, folder, peer });
  const bundles = (await bodiesIn(t, bodies, 2)).map((body) => JSON.parse(body) as Bundle);
  for (const { events, count, start_time, end_time } of bundles) {
    t.is(count, events.length);
    t.deepEqual([start_time, end_time], [events[0]?.time, events.at(-1)?.time]);
  }
  assertArrived(
    t,
    lines,
    bundles.flatMap(({ events }) => events.map((event) => JSON.stringify(event))),
  );
});

peerTest(
  ['nginx', 'openssl'],
  'https: nginx gets nothing with a wrong token, nor with a certificate of another',
  async (t) => {
    const folder = await scratchFolder(t);
    const certificate = await makeCertificate(folder, 'nginx');
    const other = await makeCertificate(folder, 'other');
    const { port, bodies } = await startNginx(t, folder, certificate);
    const tokenFile = join(folder, 'token');
    await writeFile(tokenFile, 'another', { mode: 0o600 });
    const events = [outgoingEvent({}, Buffer.from('{}'))];
    for (const [ca, message] of [
      [certificate.cert, /it answered 401/],
      [other.cert, /self-signed certificate/],
    ] as const) {
      const transport = await openTransport(
        parseSinkAddress(`https://127.0.0.1:${port}/ocsf`),
        { tokenFile, ca },
        { stream: process.stdout, onGone: () => undefined },
      );
      const error = { code: 'SINK_UNAVAILABLE', message };
      await t.throwsAsync(transport.send(events, new AbortController().signal), error);
      await transport.close();
    }
    t.deepEqual(await bodiesIn(t, bodies, 0), []);
  },
);
