import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import { awaitMark } from './mark-wait.ts';

test('awaitMark() gives up when nothing comes, and not because this process could do nothing', async (t) => {
  const begun = performance.now();
  let [came, marks] = [0, 0];
  await new Promise<void>((resolve) => {
    const again = (): void => {
      marks += 1;
    };
    awaitMark({ progress: () => came, again, giveUp: resolve });
    const source = setInterval(() => {
      came += 1;
      if (came === 6) clearInterval(source);
    }, 400);
    // As long as it takes to give up, in one piece.
    setTimeout(() => {
      while (performance.now() - begun < 2600);
    }, 100);
  });
  t.is(came, 6);
  t.true(performance.now() - begun > 2600 + 2000);
  t.true(marks >= 1, 'another mark was made meanwhile');
});

test('awaitMark() whose wait was ended gives up nothing', async (t) => {
  const stop = awaitMark({ progress: () => 0, again: () => t.fail(), giveUp: () => t.fail() });
  stop();
  await sleep(2600);
  t.pass();
});
