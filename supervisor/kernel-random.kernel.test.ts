import test from 'ava';
import { kernelTest } from '../e2e/support/kernel-tier.ts';
import { randomBelow, reseedKernel } from './kernel-random.ts';

test('randomBelow() gives each number below its limit, and no other', (t) => {
  const seen = new Set(Array.from({ length: 400 }, () => randomBelow(4)));
  t.deepEqual([...seen].sort(), [0, 1, 2, 3]);
  t.is(randomBelow(1), 0);
});

kernelTest('reseedKernel() is taken by the kernel', async (t) => {
  await t.notThrowsAsync(reseedKernel(Buffer.alloc(64, 7)));
  // That what comes next follows from it shows where two guests begin alike: e2e/snapshot.vm.test.ts.
});
