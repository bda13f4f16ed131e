import test from 'ava';
import { seeded } from '../../e2e/support/seeded.ts';
import { type Attempt, AttemptMatcher, type LoggedAttempt } from './attempt-matcher.ts';

let serial = 0;
const attempt = (pid: number, fromMs: number, toMs: number, change: Partial<Attempt> = {}): Attempt => {
  serial += 1;
  const destination = { address: '192.0.2.1', port: 80 };
  return { serial, kind: 'connect', exec: 1, pid, exit: -111, destination, fromMs, toMs, ...change };
};
/** A call on a connected socket. */
const unnamed = (pid: number, fromMs: number, toMs: number): Attempt => {
  const { destination: _, ...rest } = attempt(pid, fromMs, toMs, { kind: 'write', exit: -1 });
  return rest;
};
const line = (atMs: number, change: Partial<LoggedAttempt> = {}): LoggedAttempt => ({
  fromMs: atMs - 0.1,
  toMs: atMs + 0.1,
  exec: 1,
  protocol: 6,
  address: '192.0.2.1',
  port: 80,
  readMs: atMs,
  ...change,
});
const datagram = { protocol: 17 } as const;
const sending = { kind: 'send', exit: -1 } as const;

/** What is said of each line: the pid and what links it, or the kind of the verdict. */
function decideAll(attempts: readonly Attempt[], lines: readonly LoggedAttempt[]): readonly string[] {
  const matcher = new AttemptMatcher<Attempt>();
  for (const one of attempts) matcher.addAttempt(one);
  const added = lines.map((one) => matcher.addLine(one));
  return added.map((one) => {
    const verdict = matcher.decide(one);
    if (verdict.kind !== 'one') return verdict.kind;
    const { pid, exec, destination } = verdict.attempt;
    const isForeign = one.exec !== undefined && exec !== one.exec;
    return `${pid} ${isForeign ? 'foreign' : destination === undefined ? 'unnamed' : 'named'}`;
  });
}

test('AttemptMatcher: a packet is that of the record whose call it was logged in', (t) => {
  t.deepEqual(decideAll([attempt(5, 10, 20)], [line(15)]), ['5 named']);
  for (const [why, other] of Object.entries({
    'another port': line(15, { port: 81 }),
    'another address': line(15, { address: '192.0.2.2' }),
    'before the call': line(9),
    'after it': line(21),
    'a datagram, which no connect sends': line(15, datagram),
  })) {
    t.deepEqual(decideAll([attempt(5, 10, 20)], [other]), ['none'], why);
  }
});

test('AttemptMatcher: a call that failed without a packet is none', (t) => {
  for (const exit of [-9, -22, -101, -106])
    t.deepEqual(decideAll([attempt(5, 10, 20, { exit })], [line(15)]), ['none']);
  // The error of the datagram before.
  t.deepEqual(decideAll([attempt(5, 10, 20, { ...sending, exit: -111 })], [line(15, datagram)]), ['none']);
  t.deepEqual(decideAll([attempt(5, 10, 20, sending)], [line(15, datagram)]), ['5 named']);
});

test('AttemptMatcher: a packet without a port is matched by its address', (t) => {
  const { port: _, ...rest } = line(15, { protocol: 1 });
  const echo = { ...rest, port: undefined };
  t.deepEqual(decideAll([attempt(5, 10, 20, sending)], [echo]), ['5 named']);
  t.deepEqual(decideAll([attempt(5, 10, 20, sending), attempt(6, 10, 20, sending)], [echo]), ['several']);
});

test('AttemptMatcher: of several processes at once none is named', (t) => {
  t.deepEqual(decideAll([attempt(5, 10, 20), attempt(6, 12, 22)], [line(15), line(16)]), ['several', 'several']);
  // One line may have been withheld.
  t.deepEqual(decideAll([attempt(5, 10, 20), attempt(6, 12, 22)], [line(15)]), ['several']);
});

test('AttemptMatcher: of one process several calls are one sender', (t) => {
  t.deepEqual(decideAll([attempt(5, 10, 20), attempt(5, 12, 22)], [line(15), line(16)]), ['5 named', '5 named']);
});

test('AttemptMatcher: what is another packet’s for certain is not this one’s', (t) => {
  // The first can be of 5 alone; so the second, which could be of either, is of 6.
  t.deepEqual(decideAll([attempt(5, 10, 30), attempt(6, 20, 30)], [line(15), line(25)]), ['5 named', '6 named']);
});

test('AttemptMatcher: with more packets than records nothing is concluded', (t) => {
  t.deepEqual(decideAll([attempt(5, 10, 20)], [line(15), line(16)]), ['none', 'none']);
});

test('AttemptMatcher: a packet whose record may still come takes none away', (t) => {
  const matcher = new AttemptMatcher<Attempt>();
  matcher.addAttempt(attempt(5, 10, 20));
  const [first, second] = [line(15), line(16, { readMs: 50 })].map((one) => matcher.addLine(one));
  if (first === undefined || second === undefined) return t.fail();
  t.is(matcher.decide(first, { matureMs: 49 }).kind, 'one');
  t.is(matcher.decide(first, { matureMs: 50 }).kind, 'none');
});

test('AttemptMatcher: a call without a destination may be that of any datagram of its exec', (t) => {
  t.deepEqual(decideAll([unnamed(5, 10, 20)], [line(15, datagram)]), ['5 unnamed']);
  t.deepEqual(decideAll([unnamed(5, 10, 20)], [line(15)]), ['none'], 'TCP always names it');
  t.deepEqual(decideAll([unnamed(5, 10, 20), unnamed(6, 10, 20)], [line(15, datagram)]), ['several']);
  const both = [attempt(5, 10, 20, sending), unnamed(6, 10, 20)];
  // The line of the one that is named may have been withheld.
  t.deepEqual(decideAll(both, [line(15, datagram)]), ['several']);
  t.deepEqual(decideAll(both, [line(15, datagram), line(16, { ...datagram, port: 81 })]), ['5 named', '6 unnamed']);
});

test('AttemptMatcher: a call on a connected socket is first that of whoever connected to there', (t) => {
  const to = (port: number) => ({ address: '192.0.2.1', port });
  const knowing = (pid: number, ...ports: readonly number[]): Attempt => ({
    ...unnamed(pid, 10, 20),
    peers: ports.map(to),
  });
  const lines = [line(15, { ...datagram, port: 80 }), line(15, { ...datagram, port: 81 })];
  t.deepEqual(decideAll([unnamed(5, 10, 20), unnamed(6, 10, 20)], lines), ['several', 'several']);
  t.deepEqual(decideAll([knowing(5, 80), knowing(6, 81)], lines), ['5 unnamed', '6 unnamed']);
  t.deepEqual(decideAll([knowing(5, 80), unnamed(6, 10, 20)], lines), ['several', 'several'], 'of one it is not known');
  t.deepEqual(decideAll([knowing(5, 80, 81), knowing(6, 80, 81)], lines), ['several', 'several']);
  // Whose line is withheld: the one that is there may be of either.
  t.deepEqual(decideAll([knowing(5, 80), unnamed(6, 10, 20)], lines.slice(0, 1)), ['several']);
  t.deepEqual(decideAll([knowing(5, 80), knowing(6, 82)], lines.slice(0, 1)), ['5 unnamed']);
  // It may have a socket that came to it by another way.
  t.deepEqual(decideAll([knowing(5, 79)], lines.slice(0, 1)), ['5 unnamed']);
  t.deepEqual(decideAll([attempt(5, 10, 20, sending), knowing(6, 81)], lines.slice(0, 1)), ['5 named']);
});

test('AttemptMatcher: a record of another exec counts last, and is said to be foreign', (t) => {
  t.deepEqual(decideAll([attempt(5, 10, 20, { exec: 2 })], [line(15)]), ['5 foreign']);
  t.deepEqual(decideAll([attempt(5, 10, 20, { exec: 2 }), attempt(6, 10, 20)], [line(15)]), ['6 named']);
  t.deepEqual(decideAll([attempt(5, 10, 20, { exec: 2 })], [line(15, { exec: undefined })]), ['5 named']);
});

test('AttemptMatcher: SCTP asks again long after the call', (t) => {
  const sctp = { protocol: 132, port: undefined };
  t.deepEqual(decideAll([attempt(5, 10, 20, { exit: -115 })], [line(3000, sctp)]), ['5 named']);
});

test('AttemptMatcher: forgets what is old', (t) => {
  const matcher = new AttemptMatcher<Attempt>();
  matcher.addAttempt(attempt(5, 10, 20));
  matcher.addAttempt(unnamed(5, 10, 20));
  matcher.forget(1000);
  t.is(matcher.decide(matcher.addLine(line(15))).kind, 'none');
  t.is(matcher.decide(matcher.addLine(line(15, datagram))).kind, 'none');
});

test('AttemptMatcher: is never wrong, whatever happens at once, is withheld or is read late', (t) => {
  const random = seeded(7);
  const below = (limit: number): number => Math.floor(random() * limit);
  const counts = { right: 0, unknown: 0 };
  for (let round = 0; round < 3000; round += 1) {
    const matcher = new AttemptMatcher<Attempt>();
    const truths: { readonly pid: number; readonly logged: LoggedAttempt }[] = [];
    for (let index = 0; index < 1 + below(8); index += 1) {
      const [pid, exec, begun] = [100 + below(4), 1 + below(2), below(60)];
      const sentMs = begun + below(5);
      const endMs = sentMs + below(5);
      const port = 80 + below(2);
      const one = { ...attempt(pid * 10 + exec, begun - below(4), endMs + below(40), sending), exec };
      if (random() < 0.3) {
        const { destination: _, ...rest } = one;
        const peers = [port, 80 + below(3)].map((each) => ({ address: '192.0.2.1', port: each }));
        matcher.addAttempt(random() < 0.5 ? rest : { ...rest, peers });
      } else matcher.addAttempt({ ...one, destination: { address: '192.0.2.1', port } });
      // A line in five is withheld by the fence's limit, a mark in ten is missing.
      if (random() < 0.2) continue;
      const logged = { ...line(sentMs, { ...datagram, port }), exec: random() < 0.1 ? undefined : exec };
      truths.push({ pid: pid * 10 + exec, logged: { ...logged, fromMs: sentMs - below(3), toMs: sentMs + below(3) } });
    }
    const lines = truths.sort((a, b) => a.logged.toMs - b.logged.toMs).map(({ logged }) => matcher.addLine(logged));
    for (const [index, one] of lines.entries()) {
      const verdict = matcher.decide(one);
      matcher.settle(one, verdict);
      if (verdict.kind !== 'one') counts.unknown += 1;
      else if (verdict.attempt.pid === truths[index]?.pid) counts.right += 1;
      else t.fail(`round ${round}: line ${index} is given to ${verdict.attempt.pid}`);
    }
  }
  t.log(counts);
  t.true(counts.right > 3000 && counts.unknown > 500);
});
