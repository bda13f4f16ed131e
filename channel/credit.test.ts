import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import { initialWindow, ReceiveCredit, SendCredit } from './credit.ts';

test('SendCredit.take() gives what is wanted or what is left, and then waits for a grant', async (t) => {
  const credit = new SendCredit();
  t.is(await credit.take(100), 100);
  t.is(await credit.take(initialWindow), initialWindow - 100);
  let taken: number | undefined;
  const waiting = credit.take(50).then((size) => {
    taken = size;
  });
  await sleep(20);
  t.is(taken, undefined);
  credit.grant(20);
  await waiting;
  t.is(taken, 20);
});

test('SendCredit.grant() without anyone waiting is kept', async (t) => {
  const credit = new SendCredit();
  await credit.take(initialWindow);
  credit.grant(7);
  credit.grant(5);
  t.is(await credit.take(100), 12);
});

test('ReceiveCredit.accept() takes the window and not a byte more', (t) => {
  const credit = new ReceiveCredit();
  t.true(credit.accept(initialWindow - 1));
  t.true(credit.accept(1));
  t.false(credit.accept(1));
});

test('ReceiveCredit.consume() grants in quarters of the window, and all that was consumed in the end', (t) => {
  const credit = new ReceiveCredit();
  t.true(credit.accept(initialWindow));
  t.is(credit.consume(initialWindow / 4 - 1), 0);
  t.is(credit.consume(1), initialWindow / 4);
  t.true(credit.accept(initialWindow / 4));
  t.false(credit.accept(1));
});

test('SendCredit and ReceiveCredit together let any number of bytes through a bounded window', async (t) => {
  const send = new SendCredit();
  const receive = new ReceiveCredit();
  let sent = 0;
  let underWay = 0;
  for (let left = 20 * initialWindow + 12_345; left > 0; ) {
    const size = await send.take(Math.min(left, 65_536));
    left -= size;
    sent += size;
    underWay += size;
    t.true(receive.accept(size));
    t.true(underWay <= initialWindow);
    const granted = receive.consume(size);
    underWay -= size;
    if (granted > 0) send.grant(granted);
  }
  t.is(sent, 20 * initialWindow + 12_345);
});
