import test from 'ava';
import { parseEventPath, someValue } from './event-path.ts';

const event = {
  dst_endpoint: { ip: '192.0.2.1', port: 443 },
  attacks: [{ technique: { uid: 'T1095' } }, { technique: { uid: 'T1571' } }, null, { technique: 'x' }],
  metadata: { labels: ['loss:possible', 'aggregate'], empty: [] },
  nested: [['deep'], 'flat'],
  zero: 0,
  nothing: null,
};

function valuesAt(text: string): readonly unknown[] {
  const path = parseEventPath(text);
  if (path === undefined) throw new Error(`${text} is no path`);
  const values: unknown[] = [];
  someValue(event, path, (value) => {
    values.push(value);
    return false;
  });
  return values;
}

test('someValue: finds what stands at a path, and each element of a list', (t) => {
  t.deepEqual(valuesAt('dst_endpoint.port'), [443]);
  t.deepEqual(valuesAt('attacks[].technique.uid'), ['T1095', 'T1571']);
  t.deepEqual(valuesAt('attacks.technique.uid'), ['T1095', 'T1571']);
  t.deepEqual(valuesAt('attacks[1].technique.uid'), ['T1571']);
  t.deepEqual(valuesAt('metadata.labels'), ['loss:possible', 'aggregate']);
  t.deepEqual(valuesAt('metadata.labels[]'), ['loss:possible', 'aggregate']);
  t.deepEqual(valuesAt('metadata.labels[1]'), ['aggregate']);
  t.deepEqual(valuesAt('zero'), [0]);
  t.deepEqual(valuesAt('nothing'), [null]);
});

test('someValue: finds nothing where there is nothing', (t) => {
  for (const path of [
    ...['dst_endpoint.mac', 'dst_endpoint[].port', 'dst_endpoint[0]', 'dst_endpoint.ip.length', 'attacks.length'],
    ...['metadata.labels[2]', 'metadata.labels.0', 'metadata.empty', 'constructor', '__proto__', 'nothing.x'],
  ]) {
    t.deepEqual(valuesAt(path), [], path);
  }
});

test('someValue: a list in a list is its own place', (t) => {
  t.deepEqual(valuesAt('nested'), ['flat']);
  t.deepEqual(valuesAt('nested[][]'), ['deep']);
  t.deepEqual(valuesAt('nested[0][0]'), ['deep']);
});

test('someValue: stops at the first value that holds', (t) => {
  let calls = 0;
  const holds = (): boolean => {
    calls += 1;
    return true;
  };
  t.true(someValue(event, parseEventPath('metadata.labels') ?? [], holds));
  t.is(calls, 1);
});

test('parseEventPath: refuses what is no path', (t) => {
  for (const text of ['', '.', 'a.', '.a', 'a..b', '[0]', 'a[x]', 'a[', 'a]', 'a[]b', 'a[-1]', 'a[1234567890]']) {
    t.is(parseEventPath(text), undefined, text);
  }
});
