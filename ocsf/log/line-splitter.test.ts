import test from 'ava';
import { maxLineBytes } from '../line-cap.ts';
import { type EventLine, parseEventLine } from './event-line.ts';
import { LineSplitter, type LogLine } from './line-splitter.ts';

function split(bytes: Buffer, pieceSize: number): readonly LogLine[] {
  const splitter = new LineSplitter({ offset: 0, line: 0 });
  const count = Math.ceil(bytes.length / pieceSize);
  const lines = Array.from({ length: count }, (_, index) =>
    splitter.push(bytes.subarray(index * pieceSize, (index + 1) * pieceSize)),
  ).flat();
  const rest = splitter.unfinished();
  return rest === undefined ? lines : [...lines, rest];
}

const parse = (bytes: Buffer, pieceSize: number): readonly EventLine[] => split(bytes, pieceSize).map(parseEventLine);

const log = Buffer.from('{"time":1,"message":"größer"}\n\nnot json \u001b[31m\n[1]\n{"time":2}\n{"time":3,"mess');

test('LineSplitter: events and broken lines come with their numbers, however the file is cut into pieces', (t) => {
  for (const size of [1, 2, 3, 7, 1000]) {
    const lines = parse(log, size);
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

test('LineSplitter: each line says where it ends, and one that has not ended where it begins', (t) => {
  const ends = split(log, 5).map(({ end }) => end);
  t.deepEqual(ends, [32, 48, 52, 63, 63]);
  t.deepEqual(split(log.subarray(0, ends[0]), 5).length, 1);
  t.is(log.subarray(ends[2], ends[3]).toString(), '{"time":2}\n');
});

test('LineSplitter: what a broken line says is escaped and cut', (t) => {
  const [line] = parse(Buffer.from(`\u001b]0;owned\u0007${'x'.repeat(1000)}\n`), 64);
  t.is(line?.kind, 'broken');
  const problem = line?.kind === 'broken' ? line.problem : '';
  t.true(problem.includes('\\x1b]0;owned\\x07'), problem);
  t.true(problem.length < 250);
});

test('LineSplitter: a line longer than any event is broken, is not kept, and does not hide the next one', (t) => {
  const lines = split(Buffer.from(`"${'x'.repeat(3 * maxLineBytes)}"\n{"time":2}\n`), 65_536);
  t.deepEqual(
    lines.map(({ kind, number }) => `${number} ${kind}`),
    ['1 broken', '2 line'],
  );
  t.is(lines[0]?.end, 3 * maxLineBytes + 3);
  const longest = Buffer.from(`{"m":"${'x'.repeat(maxLineBytes - 8)}"}`);
  t.is(longest.length, maxLineBytes);
  t.deepEqual(
    parse(longest, 65_536).map(({ kind }) => kind),
    ['event'],
  );
});

test('LineSplitter: a line that is cut off is broken, and counts', (t) => {
  const splitter = new LineSplitter({ offset: 100, line: 7 });
  t.deepEqual(splitter.push(Buffer.from('{"ti')), []);
  t.deepEqual(splitter.start, { offset: 100, line: 7 });
  t.like(splitter.breakOff(), { kind: 'broken', number: 8, end: 104 });
  t.is(splitter.breakOff(), undefined);
  t.deepEqual(splitter.start, { offset: 104, line: 8 });
});

test('LineSplitter: an empty log has no lines', (t) => {
  t.deepEqual(split(Buffer.alloc(0), 1), []);
});
