import test from 'ava';
import { Backoff } from './backoff.ts';

test('Backoff doubles from the shortest wait to the longest, and begins anew after a success', (t) => {
  const backoff = new Backoff({ minMs: 100, maxMs: 1000 }, () => 1);
  t.deepEqual(
    Array.from({ length: 6 }, () => backoff.next()),
    [100, 200, 400, 800, 1000, 1000],
  );
  backoff.reset();
  t.is(backoff.next(), 100);
});

test('Backoff waits at least half of its length, by chance', (t) => {
  t.is(new Backoff({ minMs: 100, maxMs: 1000 }, () => 0).next(), 50);
  t.is(new Backoff({ minMs: 100, maxMs: 1000 }, () => 0.5).next(), 75);
});

test('Backoff stays at the longest wait after very many failures', (t) => {
  const backoff = new Backoff({ minMs: 1, maxMs: 30_000 }, () => 1);
  for (let failures = 0; failures < 2000; failures += 1) backoff.next();
  t.is(backoff.next(), 30_000);
});
