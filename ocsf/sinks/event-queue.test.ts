import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import { EventQueue } from './event-queue.ts';

type Item = { readonly bytes: number; readonly name: string };

const item = (bytes: number, name = ''): Item => ({ bytes, name });
const whole = { maxEvents: 100, maxBytes: 1000, lingerMs: 0 };

test('EventQueue: its writer waits while it is full of events or bytes', async (t) => {
  for (const limits of [
    { maxEvents: 2, maxBytes: 1000 },
    { maxEvents: 100, maxBytes: 20 },
  ]) {
    const queue = new EventQueue<Item>(limits);
    await queue.push(item(10));
    await queue.push(item(10));
    let in3 = false;
    const third = queue.push(item(10)).then(() => {
      in3 = true;
    });
    await sleep(10);
    t.false(in3);
    t.deepEqual([queue.size, queue.bytes], [2, 20]);
    t.is((await queue.take(whole, 1000)).length, 2);
    await third;
    t.deepEqual([queue.size, queue.bytes], [1, 10]);
  }
});

test('EventQueue: what is larger than the queue goes in alone', async (t) => {
  const queue = new EventQueue<Item>({ maxEvents: 10, maxBytes: 5 });
  t.true(await queue.push(item(50)));
  t.is((await queue.take({ ...whole, maxBytes: 20 }, 1000)).length, 1, 'and comes out alone');
});

test('EventQueue: a batch has no more events and bytes than it may', async (t) => {
  const queue = new EventQueue<Item>({ maxEvents: 100, maxBytes: 1000 });
  for (const name of 'abcde') await queue.push(item(10, name));
  const names = async (size: typeof whole): Promise<string> =>
    (await queue.take(size, 1000)).map(({ name }) => name).join('');
  t.is(await names({ ...whole, maxEvents: 2 }), 'ab');
  t.is(await names({ ...whole, maxBytes: 25 }), 'cd');
  t.is(await names(whole), 'e');
});

test('EventQueue: a batch waits for others until lingerMs, and no longer than the queue has room', async (t) => {
  const queue = new EventQueue<Item>({ maxEvents: 3, maxBytes: 1000 });
  await queue.push(item(1));
  const batch = queue.take({ ...whole, lingerMs: 60_000 }, 1000);
  await queue.push(item(1));
  await queue.push(item(1));
  const fourth = queue.push(item(1));
  t.is((await batch).length, 3, 'a writer that waits ends the lingering');
  await fourth;
  const began = performance.now();
  t.is((await queue.take({ ...whole, lingerMs: 50 }, 1000)).length, 1);
  t.true(performance.now() - began >= 45);
});

test('EventQueue: nothing within idleMs is an empty batch', async (t) => {
  const queue = new EventQueue<Item>({ maxEvents: 3, maxBytes: 1000 });
  t.deepEqual(await queue.take(whole, 10), []);
  t.false(queue.finished);
});

test('EventQueue: closed, it gives what is in it, takes nothing, and lets a waiting writer go', async (t) => {
  const queue = new EventQueue<Item>({ maxEvents: 1, maxBytes: 1000 });
  await queue.push(item(1));
  const waiting = queue.push(item(1));
  queue.close();
  t.false(await waiting);
  t.false(await queue.push(item(1)));
  t.false(queue.finished);
  t.is((await queue.take({ ...whole, lingerMs: 60_000 }, 60_000)).length, 1);
  t.true(queue.finished);
  t.deepEqual(await queue.take(whole, 60_000), []);
});
