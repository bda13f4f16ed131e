import test from 'ava';
import { createUidSource } from './uid.ts';

test("createUidSource: the specification's example time gives its characters", (t) => {
  const next = createUidSource({ now: () => 1469918176385, randomBytes: (size) => new Uint8Array(size) });
  t.is(next(), '01ARYZ6S410000000000000000');
  t.is(next(), '01ARYZ6S410000000000000001');
});

test('createUidSource: uids sort as they were made, whatever the clock does', (t) => {
  const times = [5, 5, 4, 9, 2, 9, 10];
  const bytes = [255, 0, 255, 7, 200, 1, 3];
  const next = createUidSource({
    now: () => times.shift() ?? 0,
    randomBytes: (size) => new Uint8Array(size).fill(bytes.shift() ?? 255),
  });
  const uids = Array.from({ length: 20 }, next);
  t.deepEqual([...uids].sort(), uids);
  t.is(new Set(uids).size, 20);
  for (const uid of uids) t.regex(uid, /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/);
});

test('createUidSource: the random part counts over its middle, and over its end into the next millisecond', (t) => {
  const middle = Uint8Array.from([0, 0, 0, 0, 7, 255, 255, 255, 255, 255]);
  const next = createUidSource({ now: () => 1469918176385, randomBytes: () => middle });
  t.deepEqual(
    [next(), next(), next()],
    ['01ARYZ6S410000000' + '7ZZZZZZZZ', '01ARYZ6S410000000' + '800000000', '01ARYZ6S410000000' + '800000001'],
  );
  const ends = [new Uint8Array(10).fill(255), new Uint8Array(10)];
  const last = createUidSource({ now: () => 1469918176385, randomBytes: () => ends.shift() ?? middle });
  t.deepEqual([last(), last()], [`01ARYZ6S41${'Z'.repeat(16)}`, `01ARYZ6S42${'0'.repeat(16)}`]);
});

test('createUidSource: a clock out of range still gives a uid', (t) => {
  for (const now of [-5, 2 ** 60]) {
    t.regex(createUidSource({ now: () => now, randomBytes: (size) => new Uint8Array(size) })(), /^[0-7]/);
  }
});
