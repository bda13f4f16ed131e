import test from 'ava';
import { LogClock } from './log-clock.ts';
import { SerialGaps } from './serial-gaps.ts';

test('LogClock: without a mark a record was made up to a second before it was read', (t) => {
  const clock = new LogClock();
  t.deepEqual(clock.spanOf(100, 5100), { fromMs: 4100, toMs: 5100 });
  // The one that was read soonest bounds the rest.
  t.true(clock.spanOf(200, 5250).toMs < 5201);
  t.is(clock.ageMs(1), Number.POSITIVE_INFINITY);
});

test('LogClock: a mark says when, and better ones say it better', (t) => {
  const clock = new LogClock();
  clock.mark({ logMs: 100, notBeforeMs: 5098, notAfterMs: 5102 });
  t.deepEqual(clock.spanOf(100, 5102), { fromMs: 5098, toMs: 5102 });
  clock.mark({ logMs: 110, notBeforeMs: 5109, notAfterMs: 5120 });
  const { fromMs, toMs } = clock.spanOf(110, 5120);
  t.true(fromMs >= 5109 && toMs <= 5113, 'the first one’s end still holds');
  t.true(clock.spanOf(110, 5111).toMs <= 5111, 'no record is read before it was made');
  clock.learn(120, 5119.5, 5121);
  t.true(clock.spanOf(120, 5121).fromMs >= 5119.4);
  clock.learn(120, 9000, 9001);
  t.true(clock.spanOf(120, 9001).fromMs < 5200, 'what cannot be is passed over');
});

test('LogClock: the clocks part with time, until the next mark', (t) => {
  const clock = new LogClock();
  clock.mark({ logMs: 0, notBeforeMs: 0, notAfterMs: 0 });
  const { fromMs, toMs } = clock.spanOf(60_000, 60_100);
  t.true(fromMs < 60_000 && toMs > 60_000 && toMs - fromMs < 200);
  t.is(clock.ageMs(60_000), 60_000);
  // A jump, as after a pause of the machine.
  clock.mark({ logMs: 70_000, notBeforeMs: 90_000, notAfterMs: 90_001 });
  t.deepEqual(clock.spanOf(70_000, 90_001), { fromMs: 90_000, toMs: 90_001 });
});

test('SerialGaps: numbers that come late are not lost, those that never come are, once', (t) => {
  const gaps = new SerialGaps();
  for (const serial of [7, 8, 11, 9]) gaps.take(serial, 0);
  t.is(gaps.takeLost(500), 0);
  t.is(gaps.takeLost(1500), 1);
  t.is(gaps.takeLost(3000), 0);
  gaps.take(14, 3000);
  t.is(gaps.takeLost(3000, true), 2);
  gaps.take(1_000_000, 4000);
  t.is(gaps.takeLost(4000), 999_985);
});
