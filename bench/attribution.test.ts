import test from 'ava';
import { run } from '../base/index.ts';
import { type Attempt, judge, type Named } from './attribution-truth.ts';
import { programText } from './sandbox.ts';

const pids = { lanes: 2, limit: 32_768 } as const;
const mark = (port: number): string => `tw-0a1b2c3d-${port}`;
/** Processes of one lane, the first of which is 10 inside and, where it was seen, 1010 outside. */
const attempts = (count: number, seen: boolean): readonly Attempt[] =>
  Array.from({ length: count }, (_, index) => ({
    lane: 0,
    innerPid: 10 + index,
    outer: seen ? { pid: 1010 + index, parent: 900 } : undefined,
    port: 5000 + index,
    program: `/tmp/program-${index}`,
    mark: mark(5000 + index),
    livedMs: 1,
  }));
const named = (index: number, change: Partial<Named> = {}): Named => ({
  port: 5000 + index,
  exec: '1',
  pid: 1010 + index,
  program: `/tmp/program-${index}`,
  commandLine: `/tmp/program-${index} ${mark(5000 + index)}`,
  parent: 900,
  ...change,
});
const verdicts = (events: readonly Named[], seen = true): readonly string[] =>
  judge(attempts(events.length, seen), events, pids);

for (const seen of [true, false]) {
  test(`judge() of pids that were ${seen ? '' : 'not '}seen from outside: what is right, and less than that`, (t) => {
    t.deepEqual(verdicts([named(0), named(1), named(2)], seen), ['exact', 'exact', 'exact']);
    const nobody = named(0, { pid: undefined, program: undefined, commandLine: undefined, parent: undefined });
    t.deepEqual(verdicts([nobody, named(1)], seen), ['exec', 'exact']);
    t.deepEqual(verdicts([named(0, { commandLine: undefined }), named(1)], seen), ['partial', 'exact']);
    t.deepEqual(judge(attempts(2, seen), [named(1)], pids), ['missing', 'exact']);
    t.deepEqual(verdicts([named(0), named(1, { parent: undefined })], seen), ['exact', 'exact']);
  });

  test(`judge() of pids that were ${seen ? '' : 'not '}seen from outside: each thing that can be wrong is`, (t) => {
    for (const change of [
      { program: '/tmp/program-0' },
      { commandLine: `/tmp/program-1 ${mark(5000)}` },
      { commandLine: '/tmp/program-1' },
      { pid: 1010 },
      { pid: 1009 },
      { parent: 901 },
      { exec: '2' },
      { exec: undefined },
    ]) {
      t.deepEqual(verdicts([named(0), named(1, change)], seen), ['exact', 'wrong'], JSON.stringify(change));
    }
    t.deepEqual(judge(attempts(1, seen), [named(0), named(0)], pids), ['wrong'], 'told of twice');
  });
}

test('judge() of pids that nobody saw: they rise as those of the workload, and begin anew at the limit', (t) => {
  const rising = (first: number, second: number, inner: number): readonly string[] => {
    const [one, other] = attempts(2, false);
    if (one === undefined || other === undefined) return [];
    const events = [named(0, { pid: first }), named(1, { pid: second })];
    return judge([one, { ...other, innerPid: one.innerPid + inner }], events, pids);
  };
  t.deepEqual(rising(1000, 1005, 5), ['exact', 'exact']);
  t.deepEqual(rising(1000, 1100, 5), ['exact', 'exact'], 'others were started in between');
  t.deepEqual(rising(1000, 1004, 5), ['exact', 'exact'], 'the other lane took one in between');
  t.deepEqual(rising(1000, 1003, 5), ['exact', 'wrong']);
  t.deepEqual(rising(32_766, 302, 2), ['exact', 'exact']);
  t.deepEqual(rising(302, 32_766, 2), ['exact', 'wrong']);
});

test('the programs of the benchmark are valid', async (t) => {
  await t.notThrowsAsync(run(['perl', '-c', '-e', await programText('short-lived.pl')]));
  await t.notThrowsAsync(
    run(['python3', '-c', 'import ast,sys; ast.parse(sys.argv[1])', await programText('forks.py')]),
  );
});
