import { createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import type { Transport } from './model.ts';
import { outgoingEvent } from './outgoing-event.ts';
import { openSyslog } from './syslog-transport.ts';

const eventOf = (uid: string): ReturnType<typeof outgoingEvent> =>
  outgoingEvent({ metadata: { uid } }, Buffer.from(`{"uid":"${uid}"}`));
const signal = new AbortController().signal;

/** A receiver on loopback, and the text of each connection that had something to say. `onOpen` sees each connection first. */
async function receiver(
  t: ExecutionContext,
  onOpen: (socket: Socket, index: number) => void = () => undefined,
): Promise<{
  readonly port: number;
  readonly texts: () => readonly string[];
  readonly sockets: readonly Socket[];
}> {
  const sockets: Socket[] = [];
  const texts: string[] = [];
  // It ends its side when it has read ours to the end, as receivers do.
  const server = createServer((socket) => {
    const index = sockets.push(socket) - 1;
    texts[index] = '';
    socket.on('error', () => undefined);
    socket.on('data', (piece: Buffer) => {
      texts[index] += piece.toString('utf8');
    });
    onOpen(socket, index);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  const address = server.address();
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
  return { port, texts: () => texts.filter((text) => text !== ''), sockets };
}

function opened(t: ExecutionContext, port: number, settleMs = 10_000): Transport {
  const transport = openSyslog({ name: 'test', host: '127.0.0.1', port, hostname: 'h', timeoutMs: 500, settleMs });
  t.teardown(transport.close);
  return transport;
}

const uidsIn = (texts: readonly string[]): readonly string[] =>
  texts.map((text) => [...text.matchAll(/"uid":"(.*?)"/g)].map((match) => match[1]).join(''));

test('openSyslog: each batch has a connection of its own, read to its end', async (t) => {
  const { port, texts } = await receiver(t);
  const transport = opened(t, port);
  await transport.send([eventOf('a'), eventOf('b')], signal);
  await transport.send([eventOf('c')], signal);
  t.deepEqual(uidsIn(texts()), ['ab', 'c']);
  t.false(transport.doubts?.());
});

test('openSyslog: a receiver that cuts the connection, or leaves before it has read all, took nothing', async (t) => {
  const large = outgoingEvent({}, Buffer.from(`{"uid":"a","x":"${'x'.repeat(8 * 1024 * 1024)}"}`));
  for (const [event, leave] of [
    [eventOf('a'), (socket: Socket) => socket.resetAndDestroy()],
    [large, (socket: Socket) => socket.destroy()],
    [large, (socket: Socket) => socket.end()],
  ] as const) {
    const { port, texts } = await receiver(t, (socket, index) => {
      if (index === 0) socket.once('data', () => leave(socket));
    });
    const transport = opened(t, port);
    await t.throwsAsync(transport.send([event], signal), { code: 'SINK_UNAVAILABLE' });
    await transport.send([event], signal);
    t.is(uidsIn(texts()).at(-1), 'a');
  }
});

test('openSyslog: a receiver that reads nothing is given up after its time', async (t) => {
  const { port } = await receiver(t, (socket) => socket.pause().removeAllListeners('data'));
  const large = outgoingEvent({}, Buffer.alloc(8 * 1024 * 1024, 'x'));
  await t.throwsAsync(opened(t, port).send([large], signal), {
    code: 'SINK_UNAVAILABLE',
    message: /did not read all within 500 ms/,
  });
});

test('openSyslog: when the standing connection breaks, what was just sent is sent again, before what comes next', async (t) => {
  const { port, texts, sockets } = await receiver(t);
  const transport = opened(t, port);
  await transport.send([eventOf('a')], signal);
  await transport.send([eventOf('b')], signal);
  sockets.at(-1)?.resetAndDestroy();
  for (let tries = 0; tries < 100 && transport.doubts?.() !== true; tries += 1) await sleep(10);
  t.true(transport.doubts?.());
  await transport.send([eventOf('c')], signal);
  t.deepEqual(uidsIn(texts()), ['a', 'b', 'abc']);
  t.false(transport.doubts?.());
});

test('openSyslog: what was sent longer ago than settleMs is not sent again', async (t) => {
  const { port, texts, sockets } = await receiver(t);
  const transport = opened(t, port, 50);
  await transport.send([eventOf('a')], signal);
  await sleep(80);
  sockets.at(-1)?.resetAndDestroy();
  await sleep(50);
  t.false(transport.doubts?.());
  await transport.send([eventOf('b')], signal);
  t.deepEqual(uidsIn(texts()), ['a', 'b']);
});
