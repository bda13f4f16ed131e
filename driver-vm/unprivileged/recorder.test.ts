import test from 'ava';
import type { DeniedPacketFact, Fact, FenceCounts } from '../../channel/index.ts';
import { schemaAvailable, validateEvent } from '../../e2e/support/ocsf-schema.ts';
import type { EventBody, EventContext, JsonlWriter } from '../../ocsf/index.ts';
import { defaultBudget, type EventBudget, Recorder } from './recorder.ts';

const context: EventContext = {
  ocsfVersion: '1.8.0',
  productVersion: '0.1.0',
  logName: 'a.jsonl',
  sandboxId: 'a',
  runId: '0b0e0c1e-3c8e-4f7e-9a55-0d4b5a0d6f11',
  hostname: 'host',
  hypervisor: 'qemu',
  policy: { uid: 'p', name: 'p', version: 'sha256:1' },
};
const exec = { argv: ['sh', '-c', 'true'], env: {}, workdir: null };

type Recorded = EventBody & { readonly count?: number };

/** A recorder over a list in place of the file, and a clock that stands still until it is moved. */
function recording(
  budget?: EventBudget,
  changes: Partial<EventContext> = {},
): { recorder: Recorder; events: Recorded[]; clock: { now: number } } {
  const events: Recorded[] = [];
  const clock = { now: 1_790_000_000_000 };
  const log = { append: (body: Recorded) => void events.push(body) } as unknown as JsonlWriter;
  const options = { context: { ...context, ...changes }, log, accelerator: 'tcg', now: () => clock.now } as const;
  return { recorder: new Recorder(budget === undefined ? options : { ...options, budget }), events, clock };
}

let sequence = 0;
function packet(changes: Partial<DeniedPacketFact> = {}): Fact {
  sequence += 1;
  return {
    kind: 'denied-packet',
    monotonic: '12.345678',
    sequence,
    interfaceOut: 'eth0',
    source: '10.200.0.2',
    destination: '198.51.100.1',
    protocol: 6,
    sourcePort: 40_000,
    destinationPort: 80,
    icmp: null,
    length: 60,
    tcpFlags: 2,
    uid: 1000,
    gid: 1000,
    mark: null,
    raw: 'IN= OUT=eth0',
    origin: null,
    ...changes,
  };
}
const request = (changes: object = {}): Fact => ({
  kind: 'denied-request',
  method: 'CONNECT',
  host: 'example.com',
  port: 443,
  path: null,
  client: { address: '10.200.0.2', port: 40_000 },
  code: 'HOST_NOT_ALLOWED',
  reason: 'no rule allows it',
  hint: 'add one',
  ...changes,
});
const counted = (counts: Partial<FenceCounts>): FenceCounts => {
  const all = { deniedTcp: 0, deniedUdp: 0, deniedOther: 0, unlogged: 0, direct: 0, logged: 0, ...counts };
  return { ...all, logged: all.deniedTcp + all.deniedUdp + all.deniedOther - all.unlogged };
};
const refused = (events: readonly Recorded[]): number =>
  events
    .filter(
      ({ class_uid, activity_id, metadata }) =>
        class_uid === 4001 && activity_id === 5 && metadata.log_provider === 'nf_tables',
    )
    .reduce((sum, { count }) => sum + (count ?? 1), 0);

/** The events as they stand in the file: the log adds three keys. */
const problems = (events: readonly Recorded[]): readonly string[] =>
  events.flatMap((event) =>
    validateEvent({ ...event, metadata: { ...event.metadata, uid: 'u', sequence: 1, logged_time: 1 } }),
  );

test('Recorder makes a valid event of each step of a run, in order', (t) => {
  const { recorder, events } = recording();
  recorder.started('6.1.0', true);
  recorder.launched(exec, 99);
  recorder.fact(packet());
  recorder.fact(packet({ protocol: 17, tcpFlags: null, destination: '2001:db8::1', length: 65_575 }));
  recorder.fact(
    packet({ protocol: 1, icmp: { type: 8, code: 0 }, sourcePort: null, destinationPort: null, tcpFlags: null }),
  );
  recorder.fact(request());
  recorder.fact({ kind: 'gap', missing: 3, first: 5, last: 7 });
  const about = { method: 'CONNECT', host: 'example.com', port: 443, client: { address: '10.0.128.2', port: 1 } };
  const from = { by: 'gateway', request: about } as unknown as Parameters<Recorder['request']>[0];
  recorder.request({ ...from, result: 'open', rule: 'r', resolvedAddress: '192.0.2.1' } as typeof from);
  recorder.request({
    ...from,
    result: 'denied',
    denial: { code: 'HOST_NOT_ALLOWED', reason: 'r', hint: 'h' },
  } as typeof from);
  recorder.request({ ...from, result: 'failed', failure: { code: 'UPSTREAM_REFUSED', message: 'm' } } as typeof from);
  recorder.exited({ status: null, signal: 15 });
  recorder.counts(counted({ deniedTcp: 1, deniedUdp: 1, deniedOther: 1 }));
  const summary = recorder.stopped('the command exited', false, { spoofed: 0 });
  t.deepEqual(
    events.map(({ class_uid, activity_id }) => `${class_uid}:${activity_id}`),
    [
      '6002:3',
      '1007:1',
      '4001:5',
      '4001:5',
      '4001:5',
      '4002:1',
      '1008:99',
      '4002:1',
      '4002:1',
      '4002:1',
      '1007:2',
      '6002:4',
    ],
  );
  t.deepEqual(summary, { allowed: 1, denied: 3, deniedRequests: 2, attempts: 3, lost: 0, invalid: 0 });
  const reason = schemaAvailable();
  if (reason === undefined) t.deepEqual(problems(events), []);
  else {
    t.log(`not validated: ${reason}`);
    if (process.env['REQUIRE'] !== undefined) t.fail(reason);
  }
});

test('Recorder: the sum of count over refusals is what the fence counted, whatever the log told of', (t) => {
  const { recorder, events } = recording();
  recorder.launched(exec, 99);
  for (let i = 0; i < 10; i += 1) recorder.fact(packet());
  for (let i = 0; i < 3; i += 1) recorder.fact(packet({ protocol: 136, tcpFlags: null }));
  recorder.fact(packet({ protocol: 253, sourcePort: null, destinationPort: null, tcpFlags: null }));
  recorder.counts(counted({ deniedTcp: 5000, deniedUdp: 4, deniedOther: 1, unlogged: 4991 }));
  t.is(refused(events), 5005);
  // Told again, they are the same packets.
  recorder.counts(counted({ deniedTcp: 5000, deniedUdp: 4, deniedOther: 1, unlogged: 4991 }));
  t.is(refused(events), 5005);
  recorder.counts(counted({ deniedTcp: 5001, deniedUdp: 4, deniedOther: 3, unlogged: 4994 }));
  t.is(refused(events), 5008);
  t.deepEqual(recorder.stopped('end', false, {}), {
    allowed: 0,
    denied: 5008,
    deniedRequests: 0,
    attempts: 3,
    lost: 5008 - 14,
    invalid: 0,
  });
});

test('Recorder says why packets have no event of their own: a limit, lost records, or unknown', (t) => {
  const reasonOf = (facts: readonly Fact[], counts: Partial<FenceCounts>): unknown => {
    const { recorder, events } = recording();
    for (const fact of facts) recorder.fact(fact);
    recorder.counts(counted(counts));
    const { unmapped } = events.at(-1) as unknown as { unmapped: { aggregation: { reason: string } } };
    return unmapped.aggregation.reason;
  };
  t.is(reasonOf([], { deniedTcp: 2, unlogged: 2 }), 'log-limit');
  t.is(reasonOf([{ kind: 'gap', missing: 2, first: 1, last: 2 }], { deniedTcp: 2, unlogged: 2 }), 'records-lost');
  t.is(reasonOf([], { deniedTcp: 2 }), 'unknown');
});

test('Recorder counts attempts by destination, protocol and port', (t) => {
  const { recorder } = recording();
  for (const destinationPort of [80, 80, 443]) recorder.fact(packet({ destinationPort, sourcePort: 1 }));
  recorder.fact(packet({ destinationPort: 80, protocol: 17, tcpFlags: null }));
  recorder.fact(packet({ destinationPort: 80, destination: '198.51.100.2' }));
  t.is(recorder.stopped('end', false, {}).attempts, 4);
});

const small: EventBudget = { perSecond: 50, atOnce: 500 };

test('Recorder bounds the events of a flood, and the counters still tell of the rest', (t) => {
  const { recorder, events, clock } = recording(small);
  recorder.launched(exec, 1);
  for (let i = 0; i < 600; i += 1) recorder.fact(packet());
  t.is(events.length, 501);
  clock.now += 1000;
  for (let i = 0; i < 100; i += 1) recorder.fact(packet());
  t.is(events.length, 551);
  clock.now += 3_600_000;
  for (let i = 0; i < 600; i += 1) recorder.fact(packet());
  t.is(events.length, 1051);
  recorder.counts(counted({ deniedTcp: 1300 }));
  t.is(refused(events), 1300);
  t.is(recorder.stopped('end', false, {}).lost, 250);
});

test('Recorder bounds refused requests and gaps likewise, and counts what it withheld as lost', (t) => {
  const { recorder, events } = recording(small);
  for (let i = 0; i < 300; i += 1) recorder.fact(request());
  for (let i = 0; i < 300; i += 1) recorder.fact({ kind: 'gap', missing: 1, first: i, last: i });
  t.is(events.length, 500);
  recorder.counts(counted({}));
  t.is(recorder.stopped('end', false, {}).lost, 100);
});

test('Recorder earns no budget from a clock that is set back, and does not lock itself out', (t) => {
  const { recorder, events, clock } = recording(small);
  for (let i = 0; i < 500; i += 1) recorder.fact(packet());
  clock.now -= 3_600_000;
  for (let i = 0; i < 10; i += 1) recorder.fact(packet());
  t.is(events.length, 500);
  clock.now += 2000;
  for (let i = 0; i < 200; i += 1) recorder.fact(packet());
  t.is(events.length, 600);
});

test('Recorder has a bounded budget unless it is told of another', (t) => {
  t.deepEqual(defaultBudget, { perSecond: 5000, atOnce: 50_000 });
});

test('Recorder passes over facts that cannot be events, and their packets are in the counters', (t) => {
  const { recorder, events } = recording();
  recorder.launched(exec, 1);
  const bad: readonly Fact[] = [
    packet({ destination: '1.2.3' }),
    packet({ source: ':::::' }),
    packet({ monotonic: `${'9'.repeat(20)}.000000` }),
    request({ client: { address: '\x1b[2J', port: 1 } }),
    { kind: 'gap', missing: 1, first: 9, last: 3 },
  ];
  for (const fact of bad) t.notThrows(() => recorder.fact(fact));
  t.is(events.length, 1);
  recorder.counts(counted({ deniedTcp: 3 }));
  const { denied, deniedRequests, lost } = recorder.stopped('end', false, {});
  t.deepEqual({ denied, deniedRequests, lost }, { denied: 3, deniedRequests: 0, lost: 3 });
});

test('Recorder makes valid events of hostile text, and findings of none', (t) => {
  const { recorder, events } = recording();
  const hostile = '\x1b[31m\u202e"},{"time":1,\n\0\ud800'.repeat(30);
  recorder.started(hostile.slice(0, 64), true);
  recorder.fact(packet({ raw: hostile, interfaceOut: hostile.slice(0, 15) }));
  recorder.fact(request({ host: hostile.slice(0, 255), method: hostile.slice(0, 32), reason: hostile, hint: hostile }));
  t.is(events.length, 3);
  t.true(events.every(({ class_uid }) => Number(class_uid) !== 2004));
  if (schemaAvailable() === undefined) t.deepEqual(problems(events), []);
  else if (process.env['REQUIRE'] !== undefined) t.fail(schemaAvailable());
});

test('Recorder does not know what was lost when the counters were never read', (t) => {
  const { recorder } = recording();
  recorder.launched(exec, 1);
  recorder.fact(packet());
  recorder.counts(null);
  t.deepEqual(recorder.stopped('end', false, {}), {
    allowed: 0,
    denied: 1,
    deniedRequests: 0,
    attempts: 1,
    lost: null,
    invalid: 0,
  });
});

test('Recorder knows that nothing was lost of a run in which no workload ran', (t) => {
  t.is(recording().recorder.stopped('failed', true, {}).lost, 0);
});

test('Recorder takes counters of any size that the channel lets through', (t) => {
  const { recorder, events } = recording();
  recorder.launched(exec, 1);
  const most = 2 ** 50;
  recorder.counts(counted({ deniedTcp: most, deniedUdp: most, deniedOther: most }));
  t.is(refused(events), 3 * most);
  t.true(Number.isSafeInteger(recorder.stopped('end', false, {}).denied));
});

test('Recorder.started() says that refusals are unlogged, where they are', (t) => {
  const { recorder, events } = recording();
  recorder.started('6.1.0', false);
  t.deepEqual(
    events.map(({ metadata }) => metadata.event_code),
    ['sandbox-started', 'fence-unlogged'],
  );
});

test('Recorder writes an event that is not valid inside another, and counts it', (t) => {
  const { recorder, events } = recording(undefined, { image: { name: 'debian' } as never });
  recorder.started('6.1.0', true);
  recorder.fact(packet());
  recorder.counts(counted({ deniedTcp: 1 }));
  const { denied, lost, invalid } = recorder.stopped('end', false, {});
  t.deepEqual({ denied, lost, invalid }, { denied: 1, lost: 0, invalid: 3 });
  type Carried = { readonly class_uid: number; readonly unmapped?: { readonly counts?: { readonly invalid: number } } };
  type Carrier = {
    readonly invalid: { readonly first: readonly { readonly path: string }[] };
    readonly event: Carried;
  };
  const carriers = events.map(({ metadata, unmapped }) => ({ code: metadata.event_code, ...(unmapped as Carrier) }));
  t.deepEqual(
    carriers.map(({ code, event, invalid: { first } }) => [code, event.class_uid, first[0]?.path]),
    [6002, 4001, 6002].map((classUid) => ['event-invalid', classUid, 'device.image.uid']),
  );
  t.is(carriers[2]?.event.unmapped?.counts?.invalid, 2, 'those before the last');
  if (schemaAvailable() === undefined) t.deepEqual(problems(events), []);
  else if (process.env['REQUIRE'] !== undefined) t.fail(schemaAvailable());
});
