import { Readable } from 'node:stream';
import test from 'ava';
import { maxLineBytes } from '../ocsf/index.ts';
import { type EventLine, readEventLines } from './event-lines.ts';

async function read(bytes: Buffer, pieceSize: number): Promise<readonly EventLine[]> {
  const count = Math.ceil(bytes.length / pieceSize);
  const pieces = Array.from({ length: count }, (_, index) =>
    bytes.subarray(index * pieceSize, (index + 1) * pieceSize),
  );
  const lines: EventLine[] = [];
  for await (const line of readEventLines(Readable.from(pieces))) lines.push(line);
  return lines;
}

const log = Buffer.from('{"time":1,"message":"größer"}\n\nnot json \u001b[31m\n[1]\n{"time":2}\n{"time":3,"mess');

test('readEventLines: events and broken lines come with their numbers, however the file is cut into pieces', async (t) => {
  for (const size of [1, 2, 3, 7, 1000]) {
    const lines = await read(log, size);
    t.deepEqual(
      lines.map(({ kind, number }) => `${number} ${kind}`),
      ['1 event', '3 broken', '4 broken', '5 event', '6 broken'],
      `pieces of ${size} bytes`,
    );
    t.deepEqual(lines[0], {
      kind: 'event',
      number: 1,
      text: '{"time":1,"message":"größer"}',
      event: { time: 1, message: 'größer' },
    });
  }
});

test('readEventLines: what a broken line says is escaped and cut', async (t) => {
  const [line] = await read(Buffer.from(`\u001b]0;owned\u0007${'x'.repeat(1000)}\n`), 64);
  t.is(line?.kind, 'broken');
  const problem = line?.kind === 'broken' ? line.problem : '';
  t.true(problem.includes('\\x1b]0;owned\\x07'), problem);
  t.true(problem.length < 250);
});

test('readEventLines: a line longer than any event is broken, is not kept, and does not hide the next one', async (t) => {
  const lines = await read(Buffer.from(`"${'x'.repeat(3 * maxLineBytes)}"\n{"time":2}\n`), 65_536);
  t.deepEqual(
    lines.map(({ kind, number }) => `${number} ${kind}`),
    ['1 broken', '2 event'],
  );
  const longest = Buffer.from(`{"m":"${'x'.repeat(maxLineBytes - 8)}"}`);
  t.is(longest.length, maxLineBytes);
  t.deepEqual(
    (await read(longest, 65_536)).map(({ kind }) => kind),
    ['event'],
  );
});

test('readEventLines: an empty log has no lines', async (t) => {
  t.deepEqual(await read(Buffer.alloc(0), 1), []);
});
