import test from 'ava';
import { ConsoleTail } from './console-tail.ts';

test('ConsoleTail keeps the last 12 KiB, in whatever pieces they come', (t) => {
  const tail = new ConsoleTail();
  t.is(tail.text(), '');
  for (let i = 0; i < 1000; i += 1) tail.push(Buffer.from(`line ${String(i).padStart(4, '0')}\n`));
  t.is(tail.text().length, 10_000);
  tail.push(Buffer.alloc(1_000_000, 'x'));
  t.is(tail.text(), 'x'.repeat(12_288));
});

test('ConsoleTail gives text that fits a message, of bytes that are no text too', (t) => {
  const tail = new ConsoleTail();
  tail.push(Buffer.alloc(20_000, 0xff));
  t.true(tail.text().length <= 16_384);
  tail.clear();
  tail.push(Buffer.alloc(20_001, 'é'));
  t.true(tail.text().length <= 16_384);
});

test('ConsoleTail.clear() forgets', (t) => {
  const tail = new ConsoleTail();
  tail.push(Buffer.from('first boot'));
  tail.clear();
  t.is(tail.text(), '');
});
