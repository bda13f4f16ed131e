import test from 'ava';
import type { DeniedGroup, Fact, FenceCounts } from '../../channel/index.ts';
import { schemaAvailable } from '../../e2e/support/ocsf-schema.ts';
import {
  counted,
  exec,
  loggedAndMarked,
  packet,
  problems,
  recording,
  refused,
  request,
} from '../../e2e/support/recording.ts';
import { defaultBudget, type EventBudget } from './event-budget.ts';
import type { Recorder } from './recorder.ts';

test('Recorder makes a valid event of each step of a run, in order', (t) => {
  const { recorder, events } = recording();
  recorder.started('6.1.0', loggedAndMarked);
  recorder.launched(exec, 99);
  recorder.fact(packet());
  recorder.fact(packet({ protocol: 17, tcpFlags: null, destination: '2001:db8::1', length: 65_575 }));
  recorder.fact(
    packet({ protocol: 1, icmp: { type: 8, code: 0 }, sourcePort: null, destinationPort: null, tcpFlags: null }),
  );
  recorder.fact(request());
  recorder.fact({ kind: 'gap', missing: 3, first: 5, last: 7 });
  recorder.fact({ kind: 'restart', last: 9, next: 10, downMs: 4 });
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
      '1008:8',
      '4002:1',
      '4002:1',
      '4002:1',
      '1007:2',
      '6002:4',
    ],
  );
  t.like(summary, {
    allowed: 1,
    denied: 3,
    deniedRequests: 2,
    attempts: 3,
    lost: 0,
    invalid: 0,
    complete: false,
    incomplete: ['log-gap: 3 records of the kernel log were overwritten before they were read'],
  });
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
  t.like(recorder.stopped('end', false, {}), {
    allowed: 0,
    denied: 5008,
    deniedRequests: 0,
    attempts: 3,
    lost: 5008 - 14,
    invalid: 0,
  });
});

test('Recorder says why packets are known by kind alone: full sets, lost records, or unknown', (t) => {
  const reasonOf = (facts: readonly Fact[], counts: Partial<FenceCounts>): unknown => {
    const { recorder, events } = recording();
    for (const fact of facts) recorder.fact(fact);
    recorder.counts(counted(counts));
    const { unmapped } = events.at(-1) as unknown as { unmapped: { aggregation: { reason: string } } };
    return unmapped.aggregation.reason;
  };
  t.is(reasonOf([], { deniedTcp: 2, overflow: 2 }), 'set-full');
  t.is(reasonOf([{ kind: 'gap', missing: 2, first: 1, last: 2 }], { deniedTcp: 2, unlogged: 2 }), 'records-lost');
  t.is(reasonOf([], { deniedTcp: 2 }), 'unknown');
});

const group = (changes: Partial<DeniedGroup> = {}): DeniedGroup => ({
  mark: 1,
  destination: '198.51.100.1',
  protocol: 17,
  port: 53,
  packets: 7,
  ...changes,
});

test('Recorder makes an aggregate event of each group, with destination, window and exec', (t) => {
  const { recorder, events, clock } = recording();
  recorder.started('6.1.0', loggedAndMarked);
  recorder.launched(exec, 1);
  clock.now += 10_000;
  recorder.fact({
    kind: 'denied-packets',
    sinceMs: 4000,
    groups: [
      group(),
      group({ destination: '2001:db8::1', protocol: 253, port: null, mark: 0, packets: 1 }),
      // A window is no longer than the run, and a mark is no exec that there was not.
      group({ mark: 2, packets: 2 ** 50 }),
    ],
  });
  recorder.fact({ kind: 'denied-packets', sinceMs: 2 ** 40, groups: [group({ destination: '198.51.100.2' })] });
  recorder.counts(counted({ deniedUdp: 2 ** 50 + 14, deniedOther: 1 }));
  const told = events.slice(2) as unknown as readonly Readonly<Record<string, unknown>>[];
  t.is(told.length, 4);
  t.like(told[0], {
    class_uid: 4001,
    count: 7,
    start_time: clock.now - 4000,
    end_time: clock.now,
    dst_endpoint: { ip: '198.51.100.1', port: 53 },
    src_endpoint: { ip: '10.200.0.2' },
    unmapped: { exec: { id: '1' }, aggregation: { reason: 'log-limit', packets: 7 } },
  });
  t.like(told[1], { count: undefined, dst_endpoint: { ip: '2001:db8::1' }, src_endpoint: { ip: 'fd74:7761:776f::2' } });
  for (const { unmapped } of told.slice(1, 3)) t.false('exec' in (unmapped as object));
  t.is(told[3]?.['start_time'], clock.now - 10_000);
  t.is(refused(events), 2 ** 50 + 15);
  const summary = recorder.stopped('end', false, {});
  t.like(summary, { denied: 2 ** 50 + 15, lost: 2 ** 50 + 15, attempts: 3, complete: true, incomplete: [] });
  if (schemaAvailable() === undefined) t.deepEqual(problems(events), []);
});

test('Recorder names the exec of a packet by its mark, where there was such a one', (t) => {
  const execOf = (mark: number | null, marks: boolean): unknown => {
    const { recorder, events } = recording();
    recorder.started('6.1.0', { logging: true, marks });
    recorder.launched(exec, 1);
    recorder.fact(packet({ mark }));
    return (events.at(-1) as unknown as { unmapped: { exec?: unknown } }).unmapped.exec;
  };
  t.deepEqual(execOf(1, true), { id: '1' });
  t.is(execOf(1, false), undefined);
  t.is(execOf(2, true), undefined);
  t.is(execOf(null, true), undefined);
});

test('Recorder says of each reason for which a record is not complete', (t) => {
  const reasonsOf = (counts: Partial<FenceCounts>): readonly string[] => {
    const { recorder } = recording();
    recorder.launched(exec, 1);
    recorder.counts(counted(counts));
    const { complete, incomplete } = recorder.stopped('end', false, {});
    t.is(complete, incomplete.length === 0);
    return incomplete.map((reason) => reason.split(':')[0] ?? '');
  };
  t.deepEqual(reasonsOf({}), []);
  t.deepEqual(reasonsOf({ deniedTcp: 3, overflow: 3 }), ['overflow']);
  t.deepEqual(reasonsOf({ portsFull: true }), ['overflow']);
  t.deepEqual(reasonsOf({ unread: 1 }), ['log-unread']);
  t.deepEqual(reasonsOf({ unknown: ['\x1b[31m the table was made anew'] }), ['unknown']);
  t.deepEqual(reasonsOf({ deniedTcp: 1 }), ['unknown']);
  const { recorder } = recording();
  recorder.launched(exec, 1);
  t.deepEqual(recorder.stopped('end', false, {}).incomplete, [
    'unknown: the sandbox ended before its counters were read',
  ]);
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

test('Recorder makes of facts that cannot be events others that carry them, and their packets are in the counters', (t) => {
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
  t.is(events.length, 1 + bad.length);
  for (const event of events.slice(1)) t.is(event.activity_name, 'event-invalid');
  if (schemaAvailable() === undefined) t.deepEqual(problems(events), []);
  else if (process.env['REQUIRE'] !== undefined) t.fail(schemaAvailable());
  recorder.counts(counted({ deniedTcp: 3 }));
  const { denied, deniedRequests, lost, invalid } = recorder.stopped('end', false, {});
  t.deepEqual(
    { denied, deniedRequests, lost, invalid },
    { denied: 3, deniedRequests: 0, lost: 3, invalid: bad.length },
  );
});

test('Recorder makes valid events of hostile text, and findings of none', (t) => {
  const { recorder, events, findings } = recording();
  const hostile = '\x1b[31m\u202e"},{"time":1,\n\0\ud800'.repeat(30);
  recorder.started(hostile.slice(0, 64), loggedAndMarked);
  recorder.fact(packet({ raw: hostile, interfaceOut: hostile.slice(0, 15) }));
  recorder.fact(request({ host: hostile.slice(0, 255), method: hostile.slice(0, 32), reason: hostile, hint: hostile }));
  t.is(events.length, 3);
  t.deepEqual(findings, []);
  if (schemaAvailable() === undefined) t.deepEqual(problems(events), []);
  else if (process.env['REQUIRE'] !== undefined) t.fail(schemaAvailable());
});

test('Recorder does not know what was lost when the counters were never read', (t) => {
  const { recorder } = recording();
  recorder.launched(exec, 1);
  recorder.fact(packet());
  recorder.counts(null);
  t.like(recorder.stopped('end', false, {}), {
    allowed: 0,
    denied: 1,
    deniedRequests: 0,
    attempts: 1,
    lost: null,
    invalid: 0,
    complete: false,
    incomplete: ['unknown: the counters of the fence could not be read'],
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
  recorder.started('6.1.0', { logging: false, marks: true });
  t.deepEqual(
    events.map(({ metadata }) => metadata.event_code),
    ['sandbox-started', 'fence-unlogged'],
  );
});

test('Recorder.started() says by what the kernel tells whose a packet is', (t) => {
  for (const [marks, attribution] of [
    [true, 'exec-mark'],
    [false, 'uid'],
  ] as const) {
    const { recorder, events } = recording();
    recorder.started('6.1.0', { logging: true, marks });
    recorder.launched(exec, 99);
    recorder.fact(packet({ mark: 1 }));
    t.is((events[0]?.unmapped as { readonly attribution?: string } | undefined)?.attribution, attribution);
    t.deepEqual((events[2]?.unmapped as { readonly exec?: object } | undefined)?.exec, marks ? { id: '1' } : undefined);
  }
});

test('Recorder writes an event that is not valid inside another, and counts it', (t) => {
  const { recorder, events } = recording(undefined, { image: { name: 'debian' } as never });
  recorder.started('6.1.0', { logging: true, marks: true });
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
