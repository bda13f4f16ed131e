import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import type { LogEntry, ShipReport, Transport } from './model.ts';
import type { OutgoingEvent } from './outgoing-event.ts';
import { refused, unavailable } from './refusal.ts';
import { Shipper, type ShipperOptions } from './shipper.ts';

/** Lines as they come from a log, each at its number. */
async function* entriesOf(texts: readonly string[]): AsyncGenerator<LogEntry> {
  for (const [index, text] of texts.entries()) {
    const line = { kind: 'line', number: index + 1, bytes: Buffer.from(text), end: index + 1 } as const;
    yield { kind: 'line', line, position: () => ({ file: 'f', offset: index + 1, line: index + 1 }) };
  }
}

const linesOf = (count: number): readonly string[] =>
  Array.from({ length: count }, (_, index) => `{"metadata":{"uid":"e${index}"}}`);

/** A shipper to a receiver that is a function, and what it took, settled and said. */
function scripted(
  texts: readonly string[],
  send: (events: readonly OutgoingEvent[], signal: AbortSignal) => Promise<void> | void,
  parts: Partial<ShipperOptions> & { readonly maxEvents?: number; readonly doubts?: () => boolean } = {},
): {
  readonly shipper: Shipper;
  readonly taken: string[];
  readonly settled: number[];
  readonly reports: ShipReport[];
  readonly closed: () => number;
} {
  const [taken, settled, reports]: [string[], number[], ShipReport[]] = [[], [], []];
  let closed = 0;
  const transport: Transport = {
    name: 'test',
    batch: { maxEvents: parts.maxEvents ?? 2, maxBytes: 1_000_000, lingerMs: 20 },
    send: async (events, signal) => {
      await send(events, signal);
      taken.push(...events.map(({ uid }) => uid ?? ''));
    },
    ...(parts.doubts === undefined ? {} : { doubts: parts.doubts }),
    close: async () => {
      closed += 1;
    },
  };
  const shipper = new Shipper({
    transport,
    lines: () => entriesOf(texts),
    onSettled: ({ line }) => void settled.push(line),
    onReport: (report) => void reports.push(report),
    backoff: { minMs: 1, maxMs: 2 },
    ...parts,
  });
  return { shipper, taken, settled, reports, closed: () => closed };
}

test('Shipper: sends all in order, settles each batch, counts, closes', async (t) => {
  const { shipper, taken, settled, closed } = scripted(linesOf(5), () => undefined);
  const status = await shipper.run();
  t.deepEqual(taken, ['e0', 'e1', 'e2', 'e3', 'e4']);
  t.is(settled.at(-1), 5);
  t.deepEqual(status, {
    ...{ state: 'ended', read: 5, sent: 5, retried: 0, dropped: 0, broken: 0, queued: 0, queuedBytes: 0 },
  });
  t.is(closed(), 1);
});

test('Shipper: a batch that failed is sent again, and its position waits for it', async (t) => {
  let failures = 0;
  const { shipper, taken, settled, reports } = scripted(linesOf(4), () => {
    failures += 1;
    if (failures < 3) throw unavailable('test', 'away');
    if (failures === 3) t.deepEqual([settled.length, shipper.status.problem], [0, 'test: away']);
  });
  const status = await shipper.run();
  t.deepEqual(taken, ['e0', 'e1', 'e2', 'e3']);
  t.deepEqual([status.sent, status.retried, status.problem], [4, 4, undefined]);
  t.deepEqual(
    reports.map(({ kind }) => kind),
    ['retry', 'retry', 'recovered'],
  );
});

test('Shipper: broken lines and refused events are told and passed over', async (t) => {
  const texts = ['{"metadata":{"uid":"e0"}}', 'garbage', '[]', '{"metadata":{"uid":"bad"}}', '{"a":1}', 'more'];
  const { shipper, taken, settled, reports } = scripted(texts, (events) => {
    if (events.some(({ uid }) => uid === 'bad')) throw refused('test', 'no');
  });
  const status = await shipper.run();
  t.deepEqual(taken, ['e0', '']);
  t.deepEqual([status.read, status.sent, status.dropped, status.broken], [6, 2, 1, 3]);
  t.is(settled.at(-1), 6, 'behind the last line, though it is broken');
  const told = reports.map((report) => ('line' in report ? report.line : 'uid' in report ? report.uid : report.kind));
  t.deepEqual(told.map(String).sort(), ['2', '3', '6', 'bad']);
});

test('Shipper: a receiver that refuses everything ends it, and the position stays before what was refused', async (t) => {
  const { shipper, settled, closed } = scripted(
    linesOf(500),
    (events) => {
      if (events.some(({ uid }) => uid !== 'e0' && uid !== 'e1')) throw refused('test', 'not JSON enough');
    },
    { maxEvents: 7 },
  );
  await t.throwsAsync(shipper.run(), {
    code: 'SINK_REFUSED',
    message: /100 events one after another.*not JSON enough/,
  });
  t.deepEqual(settled, []);
  t.is(shipper.status.state, 'failed');
  t.is(closed(), 1);
});

test('Shipper: a refused event is settled once another is taken, or the log ends', async (t) => {
  const { shipper, settled } = scripted(
    linesOf(4),
    (events) => {
      if (events.some(({ uid }) => uid !== 'e1')) throw refused('test', 'no');
    },
    { maxEvents: 1 },
  );
  await shipper.run();
  t.deepEqual(settled, [2, 4]);
});

test('Shipper: reads no more than its queue holds while the receiver is away', async (t) => {
  const { shipper } = scripted(
    linesOf(1000),
    () => {
      throw unavailable('test', 'away');
    },
    { queue: { maxEvents: 10, maxBytes: 1_000_000 }, giveUpMs: 100 },
  );
  await t.throwsAsync(shipper.run(), { code: 'SINK_UNAVAILABLE' });
  // Ten in the queue, two in hand, one that waits to go in.
  t.true(shipper.status.read <= 13, `${shipper.status.read} were read`);
});

test('Shipper.stop: what was read arrives when the receiver takes it, and reading ends', async (t) => {
  const { shipper, taken } = scripted([], () => sleep(5), {
    lines: async function* (signal) {
      for (let index = 0; !signal.aborted; index += 1) {
        yield* entriesOf([`{"metadata":{"uid":"e${index}"}}`]);
        await sleep(1);
      }
    },
  });
  const running = shipper.run();
  while (taken.length < 4) await sleep(1);
  shipper.stop();
  const { read, sent, queued, state } = await running;
  t.is(sent, read);
  t.deepEqual([queued, state], [0, 'ended']);
});

test('Shipper.stop: after drainMs what did not arrive is left for the next run, without an error', async (t) => {
  const { shipper, settled } = scripted(
    linesOf(4),
    () => {
      throw unavailable('test', 'away', { retryAfterMs: 60_000 });
    },
    { drainMs: 20 },
  );
  const running = shipper.run();
  while (shipper.status.state !== 'retrying') await sleep(1);
  shipper.stop();
  const { state } = shipper.status as { readonly state: string };
  t.is(state, 'draining');
  const status = await running;
  t.deepEqual([status.state, status.sent, settled.length], ['ended', 0, 0]);
  t.true(status.queued > 0);
});

test('Shipper: an error of reading comes out after what was read before is delivered', async (t) => {
  const { shipper, taken } = scripted([], () => undefined, {
    lines: async function* () {
      yield* entriesOf(linesOf(3));
      throw new RangeError('the disk');
    },
  });
  await t.throwsAsync(shipper.run(), { instanceOf: RangeError });
  t.is(taken.length, 3);
});

test('Shipper: what a transport doubts is sent without waiting for an event', async (t) => {
  let doubts = false;
  let empty = 0;
  const { shipper, taken } = scripted(
    [],
    (events) => {
      if (events.length > 0) doubts = true;
      else {
        empty += 1;
        doubts = false;
      }
    },
    {
      doubts: () => doubts,
      lines: async function* (signal) {
        yield* entriesOf(linesOf(1));
        while (!signal.aborted) await sleep(5);
      },
    },
  );
  const running = shipper.run();
  for (let tries = 0; tries < 400 && empty === 0; tries += 1) await sleep(10);
  shipper.stop();
  await running;
  t.deepEqual([empty, taken], [1, ['e0']]);
});
