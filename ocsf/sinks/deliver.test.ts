import test from 'ava';
import { isTapwardenError } from '../../base/index.ts';
import { Backoff } from './backoff.ts';
import { type Delivery, deliver } from './deliver.ts';
import type { Transport } from './model.ts';
import { type OutgoingEvent, outgoingEvent } from './outgoing-event.ts';
import { refused, unavailable } from './refusal.ts';

const events = Array.from({ length: 9 }, (_, index) =>
  outgoingEvent({ metadata: { uid: `e${index}` } }, Buffer.from('{}')),
);
const uidsOf = (some: readonly OutgoingEvent[]): string => some.map(({ uid }) => uid?.slice(1)).join('');

/** A delivery whose receiver is a function, and a record of all that was told, in words. */
function scripted(
  answer: (uids: string) => void,
  parts: Partial<Delivery> = {},
): { readonly delivery: Delivery; readonly told: string[] } {
  const told: string[] = [];
  const transport: Transport = {
    name: 'test',
    batch: { maxEvents: 100, maxBytes: 1000, lingerMs: 0 },
    send: async (some) => answer(uidsOf(some)),
    close: async () => undefined,
  };
  const delivery: Delivery = {
    transport,
    backoff: new Backoff({ minMs: 1, maxMs: 4 }, () => 1),
    signal: new AbortController().signal,
    onAccepted: (some) => void told.push(`took ${uidsOf(some)}`),
    onRetry: (problem, delayMs, some) => void told.push(`${problem}, ${delayMs} ms, ${uidsOf(some)}`),
    onDropped: (event, problem) => void told.push(`dropped ${uidsOf([event])}: ${problem}`),
    ...parts,
  };
  return { delivery, told };
}

test('deliver: of a batch that is refused all events arrive but those that are refused alone, in their order', async (t) => {
  const { delivery, told } = scripted((uids) => {
    if (/[37]/.test(uids)) throw refused('test', 'no');
  });
  await deliver(events, delivery);
  const taken = told.filter((line) => line.startsWith('took')).map((line) => line.slice(5));
  t.is(taken.join(''), '0124568');
  t.deepEqual(
    told.filter((line) => line.startsWith('dropped')),
    ['dropped 3: test refused: no', 'dropped 7: test refused: no'],
  );
});

test('deliver: a receiver that is away is asked again, with growing waits, as long as the receiver itself wants', async (t) => {
  let failures = 0;
  const { delivery, told } = scripted(() => {
    failures += 1;
    if (failures === 3) throw unavailable('test', 'busy', { retryAfterMs: 20 });
    if (failures < 5) throw unavailable('test', 'away');
  });
  await deliver(events, delivery);
  t.deepEqual(told, [
    'test: away, 1 ms, 012345678',
    'test: away, 2 ms, 012345678',
    'test: busy, 20 ms, 012345678',
    'test: away, 4 ms, 012345678',
    'took 012345678',
  ]);
});

test('deliver: gives up after giveUpMs without success', async (t) => {
  const { delivery } = scripted(
    () => {
      throw unavailable('test', 'away');
    },
    { giveUpMs: 20 },
  );
  const error = await t.throwsAsync(deliver(events, delivery), { message: /Given up after 0.02 s .* test: away/ });
  t.true(isTapwardenError(error, 'SINK_UNAVAILABLE'));
});

test('deliver: the signal ends a wait', async (t) => {
  const stop = new AbortController();
  const { delivery } = scripted(
    () => {
      setTimeout(() => stop.abort(), 10);
      throw unavailable('test', 'away', { retryAfterMs: 3_600_000 });
    },
    { signal: stop.signal },
  );
  await t.throwsAsync(deliver(events, delivery), { name: 'AbortError' });
});

test('deliver: an error that is not about the receiver comes out', async (t) => {
  const { delivery, told } = scripted(() => {
    throw new RangeError('a bug');
  });
  await t.throwsAsync(deliver(events, delivery), { instanceOf: RangeError });
  t.deepEqual(told, []);
});
