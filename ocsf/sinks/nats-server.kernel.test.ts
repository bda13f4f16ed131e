import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { jetstream } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import type { ExecutionContext } from 'ava';
import { freePort, makeCertificate, type Peer, peerTest, scratchFolder, startPeer } from '../../e2e/support/peer.ts';
import { assertArrived, eventCount, eventLines, shipThroughKills } from '../../e2e/support/ship-through.ts';
import type { Transport } from './model.ts';
import { openTransport, type SinkSettings } from './open-transport.ts';
import { outgoingEvent } from './outgoing-event.ts';
import { parseSinkAddress } from './sink-address.ts';

/** nats-server with JetStream, whose store is in `folder`. `more` are lines of its configuration. */
async function startNats(
  t: ExecutionContext,
  folder: string,
  more: string,
): Promise<{ readonly peer: Peer; readonly port: number }> {
  const port = await freePort();
  const config = join(folder, 'nats.conf');
  await writeFile(
    config,
    `listen: "127.0.0.1:${port}"\njetstream { store_dir: "${folder}/store", max_memory_store: 0 }\n${more}\n`,
  );
  return { port, peer: await startPeer(t, ['nats-server', '-c', config], port) };
}

type Message = { readonly subject: string; readonly id: string; readonly text: string };

/** All messages of a stream, in its order. */
async function messagesIn(port: number, stream: string): Promise<readonly Message[]> {
  const connection = await connect({ servers: `127.0.0.1:${port}` });
  try {
    const consumer = await jetstream(connection).consumers.get(stream);
    const messages: Message[] = [];
    for (let left = (await consumer.info()).num_pending; left > 0; ) {
      for await (const message of await consumer.fetch({ max_messages: Math.min(left, 500), expires: 5000 })) {
        left -= 1;
        messages.push({
          subject: message.subject,
          id: message.headers?.get('Nats-Msg-Id') ?? '',
          text: message.string(),
        });
      }
    }
    return messages;
  } finally {
    await connection.close();
  }
}

async function transportTo(to: string, settings: SinkSettings): Promise<Transport> {
  return await openTransport(parseSinkAddress(to), settings, { stream: process.stdout, onGone: () => undefined });
}

const signal = new AbortController().signal;
const small = [outgoingEvent({ metadata: { uid: 'a' } }, Buffer.from('{"metadata":{"uid":"a"}}'))];

peerTest(['nats-server'], 'nats: the server is killed twice, and all events are in the stream', async (t) => {
  const folder = await scratchFolder(t);
  const { peer, port } = await startNats(t, folder, '');
  const lines = eventLines(eventCount);
  const settings = { createStream: 'OCSF' };
  await shipThroughKills(t, { lines, to: `nats://127.0.0.1:${port}`, settings, folder, peer });
  const messages = await messagesIn(port, 'OCSF');
  assertArrived(
    t,
    lines,
    messages.map(({ text }) => text),
  );
  t.deepEqual([...new Set(messages.map(({ subject }) => subject))], ['ocsf.network_activity.vm1']);
  const uids = messages.map(
    ({ text }) => (JSON.parse(text) as { readonly metadata: { readonly uid: string } }).metadata.uid,
  );
  t.deepEqual(
    messages.map(({ id }) => id),
    uids,
  );
});

peerTest(
  ['nats-server', 'openssl'],
  'nats+tls: a token opens a server that is vouched for, and no other',
  async (t) => {
    const folder = await scratchFolder(t);
    const { cert, key } = await makeCertificate(folder, 'nats');
    const other = await makeCertificate(folder, 'other');
    const tls = `tls { cert_file: "${cert}", key_file: "${key}" }`;
    const { port } = await startNats(t, folder, `${tls}\nauthorization { token: "right" }`);
    const tokenFile = join(folder, 'token');
    const to = `nats+tls://127.0.0.1:${port}`;
    await writeFile(tokenFile, 'wrong');
    const transport = await transportTo(to, { ca: cert, tokenFile, createStream: 'OCSF' });
    await t.throwsAsync(transport.send(small, signal), { message: /Authorization/i });
    await writeFile(tokenFile, 'right now');
    await t.throwsAsync(transport.send(small, signal), { message: /one word/ });
    await writeFile(tokenFile, 'right');
    await t.notThrowsAsync(transport.send(small, signal), 'the token is read again');
    await transport.close();
    const deceived = await transportTo(to, { ca: other.cert, tokenFile });
    await t.throwsAsync(deceived.send(small, signal), { message: /certificate/ });
    await deceived.close();
  },
);

peerTest(['nats-server'], 'nats+tls: a server without TLS gets nothing', async (t) => {
  const folder = await scratchFolder(t);
  const { port } = await startNats(t, folder, '');
  const transport = await transportTo(`nats+tls://127.0.0.1:${port}`, { createStream: 'OCSF' });
  await t.throwsAsync(transport.send(small, signal), { message: /TLS/i });
  await transport.close();
});

peerTest(
  ['nats-server'],
  'nats: no stream is a reason to wait, and what is too large is refused for good',
  async (t) => {
    const folder = await scratchFolder(t);
    const { port } = await startNats(t, folder, '');
    const transport = await transportTo(`nats://127.0.0.1:${port}`, {});
    const absent = await t.throwsAsync<Error & { code?: string }>(transport.send(small, signal));
    t.is(absent?.code, 'SINK_UNAVAILABLE');
    t.regex(absent?.message ?? '', /no stream takes the subjects 'ocsf\.>'/);
    await transport.close();
    const making = await transportTo(`nats://127.0.0.1:${port}`, { createStream: 'OCSF' });
    const large = outgoingEvent({}, Buffer.from(`{"x":"${'x'.repeat(1024 * 1024)}"}`));
    const refusal = await t.throwsAsync<Error & { code?: string }>(making.send([large], signal));
    t.is(refusal?.code, 'SINK_REFUSED');
    await making.send(small, signal);
    await making.send(small, signal);
    await making.close();
    t.is((await messagesIn(port, 'OCSF')).length, 1, 'the stream knows it by its id');
  },
);
