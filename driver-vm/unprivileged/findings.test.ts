import test from 'ava';
import { findingCases } from '../../e2e/support/evidence/findings.ts';
import { context, tcp } from '../../e2e/support/sample-events.ts';
import {
  type DetectionFinding,
  deniedAggregate,
  deniedPacket,
  type EventBody,
  type FindingKind,
} from '../../ocsf/index.ts';
import { Findings } from './findings.ts';

/** Findings into a list, and a clock that stands still until it is moved. */
function keeping(): { findings: Findings; events: EventBody<DetectionFinding>[]; clock: { now: number } } {
  const events: EventBody<DetectionFinding>[] = [];
  const clock = { now: 1_790_000_000_000 };
  const append = (event: EventBody<DetectionFinding>): void => void events.push(event);
  return { findings: new Findings({ now: () => clock.now, context: () => context, append }), events, clock };
}

const base = deniedPacket(context, tcp);
const metadata = deniedPacket(context, { ...tcp, destination: { ip: '169.254.169.254', port: 80 } });

let number = 0;
function refuse(findings: Findings, ip: string, port: number, event = base): void {
  number += 1;
  findings.refused({ ...event, dst_endpoint: { ip, port } }, `uid-${number}`);
}

const told = (events: readonly EventBody<DetectionFinding>[]): readonly string[] =>
  events.map(({ activity_name, finding_info }) => `${activity_name} ${finding_info.types?.[0]}`);

/** Does what makes a finding of each kind, once; the number says for which time. */
const doings: Readonly<Record<FindingKind, (findings: Findings, times: number) => void>> = {
  'bypass-burst': (findings) => refuse(findings, '203.0.113.1', 443),
  'network-scan': (findings, times) => refuse(findings, '203.0.113.1', times),
  'metadata-access': (findings) => refuse(findings, '169.254.169.254', 80, metadata),
  'fence-bypassed': (findings, times) => findings.hostDrops({ spoofed: times }),
  'ruleset-changed': (findings) => findings.rulesetChanged('slot', 'changed, and loaded again', true, undefined),
  'log-forged': (findings) => findings.linesForged('program', 1),
};
for (const [kind, { least, withinS, severity }] of Object.entries(findingCases)) {
  const make = (betweenMs: number): readonly EventBody<DetectionFinding>[] => {
    const { findings, events, clock } = keeping();
    for (let times = 1; times <= least; times += 1) {
      const before = told(events).filter((one) => one.endsWith(kind));
      if (before.length > 0) throw new Error(`${times - 1} were enough`);
      doings[kind as FindingKind](findings, times);
      clock.now += betweenMs;
      findings.tick();
    }
    return events.filter(({ finding_info }) => finding_info.types?.[0] === kind);
  };
  test(`Findings: ${least} make ${kind}, and less do not`, (t) => {
    const windowMs = (withinS ?? 0) * 1000;
    const [event, ...more] = make(Math.floor(windowMs / least));
    t.is(more.length, 0);
    t.is(event?.activity_name, 'Create');
    t.is(event?.severity, severity.split(';')[0]);
    if (withinS !== null) t.deepEqual(make(Math.ceil(windowMs / (least - 1)) + 1), [], 'not in a longer time');
  });
}

test('Findings: what a program does that knows no better is none', (t) => {
  const { findings, events, clock } = keeping();
  for (let index = 0; index < 600; index += 1) {
    refuse(findings, '203.0.113.1', 443);
    clock.now += 1000;
    findings.tick();
  }
  findings.closeAll();
  t.deepEqual(events, []);
  t.is(findings.opened, 0);
});

test('Findings: a burst of 100,000 packets is one: opened, updated twice a minute, closed', (t) => {
  const { findings, events, clock } = keeping();
  for (let second = 0; second < 100; second += 1) {
    for (let index = 0; index < 1000; index += 1) refuse(findings, '203.0.113.1', 443);
    clock.now += 1000;
    findings.tick();
  }
  clock.now += 61_000;
  findings.tick();
  const kinds = [...new Set(events.map(({ finding_info }) => finding_info.uid))];
  t.is(kinds.length, 1);
  t.is(told(events).at(0), 'Create bypass-burst');
  t.is(told(events).at(-1), 'Close bypass-burst');
  t.deepEqual(
    told(events).slice(1, -1),
    Array.from({ length: 3 }, () => 'Update bypass-burst'),
  );
  const last = events.at(-1);
  t.is(last?.message, '100000 packets to 1 destinations and ports refused within 99 s');
  t.is(last?.finding_info.related_events?.length, 20);
  t.is(last?.finding_info.related_events_count, 100_000);
  t.like(last, {
    severity_id: 3,
    status: 'Resolved',
    unmapped: { evidence: { packets: 100_000, targets: 1, origin: 'guest' } },
  });
  // Quiet for a minute, and the next one is another.
  for (let index = 0; index < 100; index += 1) refuse(findings, '203.0.113.1', 443);
  t.is(new Set(events.map(({ finding_info }) => finding_info.uid)).size, 2);
  t.is(findings.opened, 2);
});

test('Findings: many destinations are a scan, and no burst beside it', (t) => {
  const { findings, events } = keeping();
  for (let port = 1; port <= 30_000; port += 1) refuse(findings, '203.0.113.1', port);
  findings.closeAll();
  t.deepEqual(told(events), ['Create network-scan', 'Close network-scan']);
  const [opened, closed] = events;
  t.is(opened?.finding_info.attacks?.[0]?.technique?.uid, 'T1046');
  t.is(opened?.severity, 'High');
  t.regex(closed?.message ?? '', /^30000 packets to at least 4096 destinations and ports refused/);
});

test('Findings: aggregates count with all their packets, and name no destination where they have none', (t) => {
  const { findings, events, clock } = keeping();
  const window = { startTime: clock.now, endTime: clock.now, source: { ip: '10.200.0.2' } };
  findings.refused(deniedAggregate(context, { ...window, count: 5000 }), undefined);
  t.deepEqual(told(events), ['Create bypass-burst']);
  t.regex(events[0]?.message ?? '', /^5000 packets to 0 destinations/);
  t.is(events[0]?.finding_info.related_events, undefined);
});

test('Findings: attempts at a metadata service are one of their own', (t) => {
  const { findings, events } = keeping();
  for (let index = 0; index < 10; index += 1) refuse(findings, '169.254.169.254', 80, metadata);
  t.deepEqual(told(events), ['Create metadata-access']);
  t.is(events[0]?.finding_info.attacks?.[0]?.sub_technique?.uid, 'T1552.005');
});

test('Findings: what the host dropped is critical at the first packet, one finding, and closed at the end', (t) => {
  const { findings, events, clock } = keeping();
  findings.hostDrops({ spoofed: 0, ipv6: 0 });
  t.is(events.length, 0);
  for (let second = 0; second < 65; second += 1) {
    findings.hostDrops({ spoofed: second + 1, ipv6: 0 });
    clock.now += 1000;
    findings.tick();
  }
  findings.hostDrops({ spoofed: 65, ipv6: 2 });
  findings.closeAll();
  t.deepEqual(told(events), [
    'Create fence-bypassed',
    'Update fence-bypassed',
    'Update fence-bypassed',
    'Close fence-bypassed',
  ]);
  t.is(new Set(events.map(({ finding_info }) => finding_info.uid)).size, 1);
  t.like(events[0], { severity: 'Critical', confidence: 'High', unmapped: { evidence: { origin: 'host' } } });
  t.is(
    events.at(-1)?.message,
    "The host dropped 67 packets that the guest's fence should have refused: spoofed 65, ipv6 2",
  );
  t.is(findings.hostDropped, 67);
  // Told again, nothing is new.
  findings.hostDrops({ spoofed: 65, ipv6: 2 });
  t.is(events.length, 4);
});

test('Findings: a ruleset that is changed a hundred times is one, closed when nobody changed it for a minute', (t) => {
  const { findings, events, clock } = keeping();
  for (let index = 0; index < 100; index += 1) {
    findings.rulesetChanged('slot', 'changed, and loaded again', true, { uid: `u${index}`, typeUid: 501901 });
    clock.now += 500;
    findings.tick();
  }
  clock.now += 61_000;
  findings.tick();
  t.deepEqual(told(events), ['Create ruleset-changed', 'Update ruleset-changed', 'Close ruleset-changed']);
  t.deepEqual(events[0]?.finding_info.related_events, [{ uid: 'u0', type_uid: 501901 }]);
  t.is(events[2]?.finding_info.related_events_count, 100);
  t.is(events[0]?.finding_info.attacks?.[0]?.technique?.uid, 'T1686');
  t.true(events.every(({ severity }) => severity === 'High'));
});

test('Findings: forged lines are one finding, which says how many there were and who made them', (t) => {
  const { findings, events, clock } = keeping();
  findings.linesForged('program', 1);
  for (let second = 0; second < 40; second += 1) {
    clock.now += 1000;
    findings.linesForged(second % 2 === 0 ? 'program' : 'rule', 5);
    findings.tick();
  }
  findings.closeAll();
  t.deepEqual(told(events), ['Create log-forged', 'Update log-forged', 'Close log-forged']);
  t.is(new Set(events.map(({ finding_info }) => finding_info.uid)).size, 1);
  t.is(
    events.at(-1)?.message,
    "201 lines of the kernel log looked like the fence's and were not: 101 written by a program, 100 by another log rule",
  );
  t.like(events.at(-1), { unmapped: { evidence: { forged: { program: 101, rule: 100 }, origin: 'guest' } } });
  t.is(events[0]?.message, "1 line of the kernel log looked like the fence's and was not: 1 written by a program");
});

test('Findings: a ruleset that could not be loaded again is critical, and each ruleset is one of its own', (t) => {
  const { findings, events } = keeping();
  findings.rulesetChanged('slot', 'changed, and loaded again', true, undefined);
  findings.rulesetChanged('fence', 'changed, and could not be loaded again', false, undefined);
  findings.closeAll();
  t.deepEqual(
    events.map(({ activity_name, severity, unmapped }) => [
      activity_name,
      severity,
      Reflect.get(Object(unmapped?.['evidence']), 'origin'),
    ]),
    [
      ['Create', 'High', 'host'],
      ['Create', 'Critical', 'guest'],
      ['Close', 'High', 'host'],
      ['Close', 'Critical', 'guest'],
    ],
  );
});

test('Findings: a clock that is set back breaks nothing', (t) => {
  const { findings, events, clock } = keeping();
  for (let index = 0; index < 150; index += 1) {
    refuse(findings, '203.0.113.1', 443);
    if (index === 120) clock.now -= 3_600_000;
  }
  t.notThrows(() => findings.closeAll());
  t.true(events.length >= 2);
});
