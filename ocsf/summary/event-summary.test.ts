import test from 'ava';
import { context, samples, tcp, time } from '../../e2e/support/sample-events.ts';
import { seeded } from '../../e2e/support/seeded.ts';
import { type DeniedPacketInput, deniedAggregate, deniedPacket, type EventsSummary } from '../index.ts';
import { sandboxStarted, sandboxStopped } from '../sandbox-lifecycle.ts';
import { EventSummary, maxDestinations } from './event-summary.ts';
import { renderBrief, renderSummary } from './render.ts';

const packet = (ip: string, port?: number, change: Partial<DeniedPacketInput> = {}): object =>
  deniedPacket(context, { ...tcp, ...change, destination: port === undefined ? { ip } : { ip, port } });

function summaryOf(events: Iterable<object>): EventsSummary {
  const summary = new EventSummary();
  for (const event of events) summary.add(event);
  return summary.summary();
}

const sample = (name: string): object => samples[name] ?? {};
const counts = { allowed: 3, denied: 1, attempts: 1, lost: 0 };
const started = sandboxStarted(context, { time, accelerator: 'kvm' });
const stop = { time, accelerator: 'kvm', counts, incomplete: [], reason: 'the command ended' } as const;
const stopped = sandboxStopped(context, stop);

test('EventSummary: the sum over all destinations is the sum of the counts, whatever comes', (t) => {
  const random = seeded(11);
  const pick = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)] as T;
  const wanted = new Map<string, number>();
  const summary = new EventSummary();
  for (let index = 0; index < 20_000; index += 1) {
    const ip = pick(['203.0.113.1', '10.0.0.1', '2001:db8::1', '169.254.169.254']);
    const port = pick([22, 53, 443, 4444]);
    const protocol = pick([6, 17, 132]);
    const count = random() < 0.5 ? 1 : Math.floor(random() * 1e9) + 1;
    const window = { startTime: time, endTime: time + 5 };
    summary.add(
      count === 1
        ? packet(ip, port, { protocol })
        : {
            ...deniedAggregate(context, { ...window, count, protocol, source: { ip: '10.200.0.2' } }),
            dst_endpoint: { ip, port },
          },
    );
    wanted.set(`${protocol} ${ip} ${port}`, (wanted.get(`${protocol} ${ip} ${port}`) ?? 0) + count);
  }
  const { destinations, packetsRefused } = summary.summary();
  t.is(
    packetsRefused,
    [...wanted.values()].reduce((sum, count) => sum + count, 0),
  );
  t.is(
    destinations.reduce((sum, one) => sum + one.count, 0),
    packetsRefused,
  );
  const names: Readonly<Record<string, number>> = { tcp: 6, udp: 17, sctp: 132 };
  for (const { protocol = '', host, ports, portCount, count, senders, otherSenders } of destinations) {
    const listed = ports.flatMap(([from, to]) => Array.from({ length: to - from + 1 }, (_, at) => from + at));
    t.is(listed.length, portCount);
    t.is(
      count,
      listed.reduce((sum, port) => sum + (wanted.get(`${names[protocol]} ${host} ${port}`) ?? 0), 0),
    );
    t.is(
      senders.reduce((sum, one) => sum + one.count, otherSenders),
      count,
    );
  }
});

test('EventSummary: of more destinations than are told apart the rest is counted, in bounded memory', (t) => {
  const one = packet('203.0.113.1', 4444) as { dst_endpoint: object };
  const events = function* (): Generator<object> {
    for (let index = 0; index < 10 * maxDestinations; index += 1) {
      const ip = `11.${index >> 16}.${(index >> 8) & 255}.${index & 255}`;
      yield { ...one, dst_endpoint: { ip, port: index & 0xffff } };
    }
  };
  const summary = summaryOf(events());
  t.is(summary.destinations.length, maxDestinations);
  t.is(summary.otherDestinations, 9 * maxDestinations);
  t.is(summary.packetsRefused, 10 * maxDestinations);
  t.regex(renderSummary(summary, { limit: 3 }), /and 90000 attempts at destinations beyond/);
});

test('renderSummary: a scan of 30,000 ports is one entry, with the well-known ports among them', (t) => {
  const one = packet('203.0.113.1', 1) as { dst_endpoint: object };
  const events = function* (): Generator<object> {
    for (let port = 1; port <= 30_000; port += 1) yield { ...one, dst_endpoint: { ip: '203.0.113.1', port } };
  };
  const summary = summaryOf(events());
  t.is(summary.destinations.length, 1);
  t.like(summary.destinations[0], { case: 'scan', portCount: 30_000, ports: [[1, 30_000]], count: 30_000 });
  t.regex(
    renderSummary(summary, { limit: 9 }),
    /^tcp 203\.0\.113\.1 ports 1-30000: 30000 packets refused, by exec=exec-1 uid=1000$/m,
  );
  t.is(renderBrief(summary, { limit: 9 }).length, 2);
});

test('renderSummary: many addresses on one port are one entry, a few are each their own', (t) => {
  const sweep = Array.from({ length: 200 }, (_, index) => packet(`10.9.0.${index + 1}`, 22));
  const text = renderSummary(summaryOf([...sweep, packet('10.9.1.1', 5432), packet('10.9.1.2', 5432)]), { limit: 9 });
  t.regex(text, /^tcp 200 addresses, 10\.9\.0\.1, 10\.9\.0\.2, 10\.9\.0\.3, … port 22: 200 packets refused/m);
  t.regex(text, /^tcp 10\.9\.1\.1:5432: 1 packet refused/m);
  t.regex(text, /^tcp 10\.9\.1\.2:5432: 1 packet refused/m);
});

test('EventSummary: the program is named where it is known, the exec and the user where not', (t) => {
  const known = packet('203.0.113.1', 443) as { actor: object };
  const by = (process: object): object => ({ ...known, actor: { ...known.actor, process } });
  const summary = summaryOf([
    by({ name: 'MainThread', file: { path: '/usr/bin/node' } }),
    by({ name: 'MainThread', file: { path: '/usr/bin/node' } }),
    by({ name: 'curl' }),
    known,
  ]);
  t.deepEqual(summary.destinations[0]?.senders, [
    { program: 'node', exec: 'exec-1', uid: '1000', count: 2 },
    { program: 'curl', exec: 'exec-1', uid: '1000', count: 1 },
    { exec: 'exec-1', uid: '1000', count: 1 },
  ]);
  const text = renderSummary(summary, { limit: 9 });
  t.regex(text, /4 packets refused, by node \(2\), curl \(1\), exec=exec-1 uid=1000 \(1\)$/m);
  t.regex(text, /change .*NODE_USE_ENV_PROXY=1/);
});

test('EventSummary: a request that was denied has the rule and the option that would allow it', (t) => {
  const { destinations, requests } = summaryOf([
    sample('connect-denied'),
    sample('connect-allowed'),
    sample('connect-failed'),
  ]);
  t.deepEqual(requests, { refused: 1, failed: 1, allowed: 1 });
  t.like(destinations[0], {
    kind: 'request',
    outcome: 'refused',
    host: 'evil.example',
    case: 'HOST_NOT_ALLOWED',
    allow: 'evil.example:443',
    rule: '- {name: evil.example-443, hosts: ["evil.example"], ports: [443]}',
  });
  t.like(destinations[1], { outcome: 'failed', why: 'The upstream refused the connection.' });
  t.is(destinations[2]?.why, undefined);
});

test('EventSummary: nothing is suggested for a metadata service, DNS, or a web request past the proxy', (t) => {
  const { destinations } = summaryOf([
    packet('169.254.169.254', 80),
    packet('192.0.2.53', 53, { protocol: 17 }),
    packet('203.0.113.1', 443),
    sample('connect-denied-address'),
  ]);
  t.is(destinations.length, 4);
  for (const { rule, allow } of destinations) t.deepEqual([rule, allow], [undefined, undefined]);
});

const complete = test.macro({
  exec(t, events: readonly object[], want: 'yes' | 'no' | 'unknown', missing: readonly RegExp[]) {
    const summary = summaryOf(events);
    t.is(summary.complete, want, JSON.stringify(summary.missing));
    t.is(summary.missing.length, missing.length, JSON.stringify(summary.missing));
    for (const [index, pattern] of missing.entries()) t.regex(summary.missing[index] ?? '', pattern);
    t.true(renderSummary(summary, { limit: 1 }).includes(`\ncomplete: ${want}\n`));
  },
  title: (name) => `EventSummary: complete: ${name}`,
});

const numbered = (...sequences: readonly number[]): readonly object[] =>
  sequences.map((sequence) => ({ ...started, metadata: { ...started.metadata, sequence } }));
const other = { ...context, runId: 'other', sandboxId: 'vm2' };
const unmapped = (stop: typeof stopped, change: object) => ({ ...stop, unmapped: { ...stop.unmapped, ...change } });

test('yes', complete, [started, packet('203.0.113.1', 1), stopped], 'yes', []);
test('no event', complete, [], 'unknown', [/there is no event of a run/]);
test('a run that goes on', complete, [started, packet('203.0.113.1', 1)], 'unknown', [/vm1 .*no stop event/]);
test(
  'one of two runs goes on',
  complete,
  [started, stopped, sandboxStarted(other, { time, accelerator: 'kvm' })],
  'unknown',
  [/vm2 .*no stop event/],
);
test('the beginning is missing', complete, [packet('203.0.113.1', 1), stopped], 'no', [/beginning is not in the log/]);
test(
  'the reasons of the stop event',
  complete,
  [started, unmapped(stopped, { complete: false, incomplete: ['log-gap: 3 records', 'overflow: 5 packets'] })],
  'no',
  [/log-gap: 3 records/, /overflow: 5 packets/],
);
test(
  'a stop event without reasons',
  complete,
  [started, unmapped(stopped, { complete: false, counts: { ...counts, lost: 15 } })],
  'no',
  [/15 packets have no event/],
);
test('dropped events', complete, [started, sample('events-dropped'), stopped], 'no', [/4000 events were dropped/]);
test('lost records of a run without a verdict', complete, [started, sample('telemetry-gap')], 'no', [
  /15 records of the kernel log/,
  /no stop event/,
]);
test('missing lines', complete, [...numbered(1, 2, 5), stopped], 'no', [/events 3 to 4 are not in the log/]);
test('lines out of order', complete, [...numbered(2, 1), stopped], 'no', [/event 1 stands behind event 2/]);
test('a log whose first files are gone', complete, [...numbered(7, 8), stopped], 'yes', []);

test('EventSummary: what is said of the record is told of the runs that were asked for', (t) => {
  const summary = new EventSummary();
  summary.add(started, true);
  summary.add(stopped, false);
  summary.add(sandboxStarted(other, { time, accelerator: 'kvm' }), false);
  t.is(summary.summary().complete, 'yes');
  summary.missing('2 lines are no events');
  t.like(summary.summary(), { complete: 'no', missing: ['2 lines are no events'] });
});

test('EventSummary: many reasons are cut, and how many there are is said', (t) => {
  const summary = new EventSummary();
  summary.add(started);
  summary.add(stopped);
  for (let index = 0; index < 1000; index += 1) summary.missing(`reason ${index}`);
  const { missing } = summary.summary();
  t.is(missing.length, 21);
  t.is(missing.at(-1), 'and 980 more');
});

test('EventSummary: a finding is told as its last event has it', (t) => {
  const finding = sample('generic-detection-finding');
  const closed = { ...finding, activity_name: 'Close', message: 'over' };
  const summary = summaryOf([finding, closed]);
  t.is(summary.findings.length, 1);
  t.like(summary.findings[0], { title: 'Network scan', severity: 'High', activity: 'Close', message: 'over' });
  t.regex(renderSummary(summary, { limit: 1 }), /^finding: High "Network scan" \(Close, /m);
  t.regex(renderBrief(summary, { limit: 1 })[0] ?? '', /^finding: High: Network scan: over$/);
});

test('EventSummary: any JSON is summed up, and every line of it is printable', (t) => {
  const random = seeded(7);
  const hostile = '\u001b[31m\u202e"},\n\u0000\ud800\\';
  const values: readonly unknown[] = [hostile, 1e308, -1, 0.5, null, true, [], {}, [[hostile]], 'x'.repeat(5000), 4001];
  const mangled = (value: unknown): unknown => {
    if (random() < 0.1) return values[Math.floor(random() * values.length)];
    if (Array.isArray(value)) return value.map(mangled);
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, mangled(part)]));
  };
  const summary = new EventSummary();
  for (let index = 0; index < 200; index += 1) {
    for (const event of Object.values(samples)) {
      const odd = mangled(event);
      if (typeof odd === 'object' && odd !== null) summary.add(odd);
    }
  }
  const lines = [
    ...renderSummary(summary.summary(), { limit: 1000 }).split('\n'),
    ...renderBrief(summary.summary(), { limit: 1000 }),
  ];
  t.true(lines.length > 100);
  // biome-ignore format: one class of characters a line reads best
  for (const line of lines) t.notRegex(line, /[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069\ud800-\udfff]/u);
  t.notThrows(() => JSON.stringify(summary.summary()));
});

test('renderBrief: nothing is said where nothing was refused', (t) => {
  t.deepEqual(renderBrief(summaryOf([started, sample('connect-allowed'), stopped]), { limit: 5 }), []);
});

test('renderBrief: the first entries in two lines or three, and how many more there are', (t) => {
  const events = [1, 2, 3].flatMap((last) =>
    Array.from({ length: last }, () => packet(`203.0.113.${last}`, 5000 + last)),
  );
  t.deepEqual(renderBrief(summaryOf(events), { limit: 1 }), [
    'refused: tcp 203.0.113.3:5003, 3 packets, by exec=exec-1 uid=1000',
    '  Only the proxy leads out. Use CONNECT through HTTPS_PROXY with the host allowed in the policy, or add a direct rule.',
    '  - {name: tcp-203.0.113.3-5003, via: direct, protocol: tcp, addresses: ["203.0.113.3"], ports: [5003]}',
    'and 2 more destinations',
  ]);
});

test('EventSummary: packets that are like one before are counted as if each were read whole', (t) => {
  const random = seeded(12);
  const pick = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)] as T;
  const one = packet('203.0.113.1', 443) as { readonly actor: object; readonly unmapped: object };
  const events = Array.from({ length: 5000 }, () => {
    const { actor, unmapped, ...rest } = packet(
      pick(['203.0.113.1', '10.0.0.1', '2001:db8::1']),
      pick([53, 443, 4444]),
      {
        protocol: pick([6, 17]),
        time: time + Math.floor(random() * 1e6),
      },
    ) as typeof one;
    // Names that would be one if they were only strung together.
    const process = pick([
      undefined,
      { name: 'a b' },
      { name: 'a', file: { path: 'b' } },
      { name: 'a', file: { path: 'c' } },
    ]);
    const exec = pick([undefined, { id: '1' }, { id: '11' }]);
    return {
      ...rest,
      actor: { ...actor, ...(process && { process }) },
      unmapped: { ...unmapped, ...(exec && { exec }) },
    };
  });
  const whole = new EventSummary();
  // An aggregate of a single packet has no place of one before.
  for (const event of events) whole.add({ ...event, start_time: (event as unknown as { time: number }).time });
  t.deepEqual(summaryOf(events), whole.summary());
});
