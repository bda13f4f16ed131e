import test from 'ava';
import { context, samples, tcp } from '../e2e/support/sample-events.ts';
import { seeded } from '../e2e/support/seeded.ts';
import { deepFreeze } from './frozen.ts';
import { type DeniedPacketInput, deniedPacket, type EventBody } from './index.ts';
import { createEventSerializer, type LogParts, withLogParts } from './serialize.ts';

const parts: LogParts = { uid: '01J8Z6Q8W7M0V5T3N2K1H0G9F8', sequence: 7, logged_time: 1790000000124 };

/** An event without a type of its own, for values that no builder would let through. */
const oddEvent = (members: object): EventBody => ({ type_uid: 1, ...members }) as unknown as EventBody;

test('createEventSerializer: every sample is what JSON.stringify gives, in any order and many times', (t) => {
  const serialize = createEventSerializer();
  const events = Object.values(samples);
  for (const list of [events, [...events].reverse(), events]) {
    for (const event of list) {
      t.is(serialize(event), JSON.stringify(event));
      t.is(serialize(event, parts), JSON.stringify(withLogParts(event, parts)));
    }
  }
});

test('createEventSerializer: seeded packets are what JSON.stringify gives', (t) => {
  const serialize = createEventSerializer();
  const random = seeded(4001);
  const pick = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)] as T;
  for (let index = 0; index < 3000; index += 1) {
    const input: DeniedPacketInput = {
      ...tcp,
      time: Math.floor(random() * 2 ** 41),
      sequence: index,
      length: pick([60, 61, 1500]),
      destination: { ip: pick(['203.0.113.10', '2001:db8::1', '169.254.169.254']), port: pick([22, 53, 80, 4444]) },
      rawLine: pick(['plain', '"quoted" \\', '\n\0\x7f', '\ud83d\ude00 and \ud83d', 'é', '\u2028', '']),
      interfaceOut: pick(['eth0', 'e"h0']),
    };
    const event = deniedPacket(pick([context, deepFreeze({ ...context })]), input);
    const log = { uid: `U${index}`, sequence: index + 1, logged_time: input.time };
    t.is(serialize(event, log), JSON.stringify(withLogParts(event, log)));
  }
});

test('createEventSerializer: what differs from the event before is seen, wherever it is', (t) => {
  const serialize = createEventSerializer();
  const device = { uid: 'a', tags: [{ name: 'x' }] };
  const event = { type_uid: 1, device, list: [1, 2], flag: true, metadata: { version: '1' } };
  const text = serialize(oddEvent(event));
  // The same object, which the example holds too, with another content.
  device.tags[0] = { name: 'y' };
  device.uid = 'b';
  t.is(serialize(oddEvent(event)), text.replace('"x"', '"y"').replace('"uid":"a"', '"uid":"b"'));
  const changes: readonly object[] = [
    { list: [1, 2, 3] },
    { list: [] },
    { list: {} },
    { list: 'text' },
    { device: {} },
    { device: [] },
    { device: { uid: 'a' } },
    { device: { tags: [], uid: 'a' } },
    { flag: false },
    { flag: 1 },
    { flag: -0 },
    { flag: 1e21 },
    { flag: NaN },
    { flag: null },
    { flag: undefined },
    { flag: 2 ** 53 },
    { flag: 2 ** 53 - 1 },
    { flag: 1e9 },
    { flag: 1_000_000_001 },
    { flag: 1_790_000_000_000 },
    { flag: -1_790_000_000_000 },
    { flag: 1_790_000_000_000.5 },
    { '"odd\n': 1 },
    { metadata: {} },
    { metadata: undefined },
    { metadata: { version: '1', more: 1 } },
  ];
  for (const change of [...changes, ...changes]) {
    const changed = oddEvent({ ...event, ...change });
    t.is(serialize(changed), JSON.stringify(changed), JSON.stringify(change));
    t.is(serialize(changed, parts), JSON.stringify(withLogParts(changed, parts)), JSON.stringify(change));
  }
});

test('createEventSerializer: of very many kinds of events it keeps a bounded number', (t) => {
  const serialize = createEventSerializer();
  for (let type = 0; type < 200; type += 1) {
    for (let shape = 0; shape < 20; shape += 1) {
      const event = oddEvent({ type_uid: type, metadata: {}, [`key${shape}`]: shape });
      t.is(serialize(event, parts), JSON.stringify(withLogParts(event, parts)));
    }
  }
});
