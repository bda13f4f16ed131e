import { PassThrough, Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import test from 'ava';
import { outgoingEvent } from './outgoing-event.ts';
import { openStream } from './stream-transport.ts';

const events = ['{"a":1}', '{"b":2}'].map((line) => outgoingEvent({}, Buffer.from(line)));

test('openStream writes lines and leaves the stream open', async (t) => {
  const stream = new PassThrough();
  const transport = openStream({ stream, onGone: () => t.fail() });
  await transport.send(events, new AbortController().signal);
  await transport.close();
  stream.end();
  t.is(await text(stream), '{"a":1}\n{"b":2}\n');
});

test('openStream: a reader that has gone is told once, and takes nothing more', async (t) => {
  const stream = new Writable({ write: (_, __, done) => done(Object.assign(new Error('EPIPE'), { code: 'EPIPE' })) });
  let gone = 0;
  const transport = openStream({
    stream,
    onGone: () => {
      gone += 1;
    },
  });
  await t.throwsAsync(transport.send(events, new AbortController().signal), { code: 'SINK_UNAVAILABLE' });
  await t.throwsAsync(transport.send(events, new AbortController().signal), { code: 'SINK_UNAVAILABLE' });
  await transport.close();
  t.is(gone, 1);
});

test('openStream: a reader that does not read holds up no end', async (t) => {
  const stream = new Writable({ write: () => undefined });
  const transport = openStream({ stream, onGone: () => undefined });
  const stop = new AbortController();
  setTimeout(() => stop.abort(), 10);
  await t.throwsAsync(transport.send(events, stop.signal), { code: 'SINK_UNAVAILABLE', message: /stopped/ });
});
