import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import { onStall } from './stall.ts';

test('onStall() gives up when nothing comes, and not because this process could do nothing', async (t) => {
  const begun = performance.now();
  let came = 0;
  await new Promise<void>((resolve) => {
    onStall(() => came, resolve);
    const source = setInterval(() => {
      came += 1;
      if (came === 5) clearInterval(source);
    }, 400);
    // As long as it takes to give up, in one piece.
    setTimeout(() => {
      while (performance.now() - begun < 2600);
    }, 100);
  });
  t.is(came, 5);
  t.true(performance.now() - begun > 2600 + 2000);
});

test('onStall() whose watch was ended gives up nothing', async (t) => {
  const stop = onStall(
    () => 0,
    () => t.fail(),
  );
  stop();
  await sleep(2600);
  t.pass();
});
