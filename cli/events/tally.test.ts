import test from 'ava';
import { parseEventPath } from '../../ocsf/index.ts';
import { maxValueLength, maxValues, renderCounts, Tally } from './tally.ts';

function tallied(path: string, events: readonly object[]) {
  const tally = new Tally(path, parseEventPath(path) ?? []);
  for (const event of events) tally.add(event);
  return tally.counts();
}

test('Tally: counts values, the most frequent first, and events without one', (t) => {
  const counts = tallied('a', [{ a: 'x' }, { a: 1 }, { a: 'y' }, { a: 'y' }, { a: '1' }, {}, { a: {} }]);
  t.deepEqual(counts, {
    path: 'a',
    events: 7,
    counts: [
      { value: 'y', count: 2 },
      { value: 'x', count: 1 },
      { value: 1, count: 1 },
      { value: '1', count: 1 },
    ],
    none: 2,
    other: 0,
  });
  t.is(renderCounts(counts), '2 y\n1 x\n1 1\n1 1\n2 (none)\n');
});

test('Tally: an event with a list counts once for each different element', (t) => {
  const counts = tallied('a[]', [{ a: ['x', 'x', 'y'] }, { a: ['y', { z: 1 }, null, true] }]);
  t.deepEqual(
    counts.counts.map(({ value, count }) => [value, count]),
    [
      ['y', 2],
      ['x', 1],
      [null, 1],
      [true, 1],
    ],
  );
});

test('Tally: the values that come first are counted, of more only how often one came', (t) => {
  const tally = new Tally('a', [{ kind: 'key', key: 'a' }]);
  for (let value = 0; value < maxValues + 500; value += 1) tally.add({ a: value });
  for (let round = 0; round < 3; round += 1) tally.add({ a: 7 });
  const { counts, other, events } = tally.counts();
  t.is(counts.length, maxValues);
  t.deepEqual(counts[0], { value: 7, count: 4 });
  t.is(other, 500);
  t.is(events, maxValues + 503);
  const text = renderCounts(tally.counts());
  t.true(text.startsWith('  4 7\n'));
  t.true(text.endsWith('\n500 (other: not among the first 10000 values)\n'));
  const many = tallied('a', [{ a: Array.from({ length: maxValues + 5 }, (_, index) => index) }]);
  t.is(many.counts.length, maxValues);
});

test('Tally: a value is kept up to a length, and printed safely', (t) => {
  const long = 'x'.repeat(maxValueLength);
  const counts = tallied('a', [{ a: `${long}1` }, { a: `${long}2` }, { a: long }, { a: 'b \x1b[2J\n\u202e' }]);
  t.deepEqual(
    counts.counts.map(({ count }) => count),
    [2, 1, 1],
  );
  t.true(renderCounts(counts).endsWith('1 "b \\x1b[2J\\n\\u{202e}"\n'));
  t.is(renderCounts(tallied('a', [])), '');
});
