import test from 'ava';
import { nextState, type Operation, type State, transitions } from './lifecycle.ts';

/** The whole table, written out: `-` is illegal. */
const table: Readonly<Record<State, Readonly<Record<Operation, State | '-'>>>> = {
  created: { start: 'running', exec: '-', stop: 'stopped', delete: 'deleted' },
  running: { start: '-', exec: 'running', stop: 'stopped', delete: 'deleted' },
  stopped: { start: '-', exec: '-', stop: 'stopped', delete: 'deleted' },
  deleted: { start: '-', exec: '-', stop: '-', delete: 'deleted' },
};

for (const [from, row] of Object.entries(table) as [State, Record<Operation, State | '-'>][]) {
  for (const [operation, to] of Object.entries(row) as [Operation, State | '-'][]) {
    test(`nextState() of ${operation} in state ${from} is ${to === '-' ? 'STATE_ILLEGAL' : to}`, (t) => {
      if (to !== '-') {
        t.is(nextState(from, operation), to);
        return;
      }
      const error = t.throws(() => nextState(from, operation), { code: 'STATE_ILLEGAL' });
      t.deepEqual((error as unknown as { details: unknown }).details, { from, operation });
      t.regex(error?.message ?? '', new RegExp(`^Cannot ${operation} a sandbox that is ${from}\nLegal now: `));
    });
  }
}

test('transitions has a row for each state, and leads to states that have one', (t) => {
  t.deepEqual(Object.keys(transitions).toSorted(), Object.keys(table).toSorted());
  for (const row of Object.values(transitions)) {
    for (const to of Object.values(row)) t.true(Object.hasOwn(transitions, to));
  }
});
