import test from 'ava';
import { parseProcessMessage } from './process-events.ts';
import { type Image, ProcessTable } from './process-table.ts';

const image = (binary: string, ...argv: readonly string[]): Image => ({ binary, arguments: argv });
/** Process 1 is the root, which forks 2 (a shell), which forks 3. */
function family(): ProcessTable {
  const table = new ProcessTable(1);
  table.take({ kind: 'fork', atMs: 10, parent: 1, child: 2 });
  table.take({ kind: 'exec', atMs: 11, pid: 2 });
  table.execute({ pid: 2, serial: 1, atMs: 10.5, image: image('/bin/sh', 'sh', 'a') });
  table.take({ kind: 'fork', atMs: 20, parent: 2, child: 3 });
  return table;
}

test('ProcessTable: knows the descendants of its root, and no others', (t) => {
  const table = family();
  table.take({ kind: 'fork', atMs: 15, parent: 77, child: 78 });
  t.is(table.find(78, 100), undefined);
  t.like(table.find(3, 100), { pid: 3, parent: 2, startMs: 20 });
});

test('ProcessTable: a child goes on with what its parent was when it was forked', (t) => {
  const table = family();
  // The parent executes another program in the tick in which it forked.
  table.take({ kind: 'exec', atMs: 21, pid: 2 });
  table.execute({ pid: 2, serial: 9, atMs: 19, image: image('/bin/other') });
  t.is(table.imageBefore({ pid: 3, atMs: 25, serial: 20 })?.binary, '/bin/sh');
  t.is(table.imageDuring(2, { fromMs: 30, toMs: 30 })?.binary, '/bin/other');
  t.deepEqual(
    table.ancestorsOf(3, 25).map(({ pid, image: found }) => [pid, found?.binary]),
    [[2, '/bin/sh']],
  );
});

test('ProcessTable: what a process was at a call follows from the order of its records', (t) => {
  const table = family();
  table.execute({ pid: 3, serial: 5, atMs: 30, image: image('/bin/one') });
  table.execute({ pid: 3, serial: 8, atMs: 30, image: image('/bin/two') });
  t.is(table.imageBefore({ pid: 3, atMs: 30, serial: 7 })?.binary, '/bin/one');
  t.is(table.imageBefore({ pid: 3, atMs: 30, serial: 9 })?.binary, '/bin/two');
});

test('ProcessTable: those that are gone stay known, also when their number is another one’s', (t) => {
  const table = family();
  table.take({ kind: 'exit', atMs: 40, pid: 2, status: 0 });
  t.is(table.ancestorsOf(3, 50)[0]?.pid, 2);
  table.take({ kind: 'fork', atMs: 500, parent: 1, child: 2 });
  t.is(table.find(2, 600)?.startMs, 500);
  t.is(table.find(2, 30)?.startMs, 10);
  t.is(table.ancestorsOf(3, 50)[0]?.startMs, 10);
  t.true(table.hasStartedSince(2, 100));
});

test('ProcessTable: after lost events nothing is concluded from their order', (t) => {
  const table = family();
  table.markLost();
  t.is(table.imageDuring(2, { fromMs: 30, toMs: 30 }), undefined);
  t.true(table.hasExecutedSince(2, 30));
  t.is(table.ancestorsOf(3, 25)[0]?.image, undefined);
  t.is(table.ancestorsOf(3, 25)[0]?.pid, 2);
});

test('ProcessTable: an execution of which no record came leaves its program unknown', (t) => {
  const table = family();
  table.take({ kind: 'exec', atMs: 30, pid: 3 });
  t.is(table.imageDuring(3, { fromMs: 35, toMs: 35 }), undefined);
  table.execute({ pid: 3, serial: 30, atMs: 30, image: undefined });
  t.is(table.imageDuring(3, { fromMs: 35, toMs: 35 }), undefined);
  t.false(table.hasExecutedSince(3, 60));
});

test('ProcessTable: a program that was looked up may be that of a later execution', (t) => {
  const table = family();
  table.take({ kind: 'exec', atMs: 30, pid: 3 });
  table.execute({ pid: 3, serial: 30, atMs: 30, image: image('/bin/late'), seenMs: 36 });
  t.is(table.imageDuring(3, { fromMs: 32, toMs: 32 })?.binary, '/bin/late');
  table.take({ kind: 'exec', atMs: 35, pid: 3 });
  table.execute({ pid: 3, serial: 35, atMs: 35, image: image('/bin/late'), seenMs: 36 });
  t.is(table.imageDuring(3, { fromMs: 32, toMs: 32 }), undefined);
  t.is(table.imageDuring(3, { fromMs: 36, toMs: 36 })?.binary, '/bin/late');
  t.is(table.imageDuring(3, { fromMs: 34, toMs: 36 }), undefined);
});

test('ProcessTable: arguments of the root’s own children can be left out, and of those that go on with their program', (t) => {
  const table = new ProcessTable(1, { hidesStarters: true });
  table.take({ kind: 'fork', atMs: 10, parent: 1, child: 2 });
  table.take({ kind: 'exec', atMs: 11, pid: 2 });
  table.execute({ pid: 2, serial: 1, atMs: 10.5, image: image('/bin/bwrap', '--setenv', 'TOKEN', 'secret') });
  table.take({ kind: 'fork', atMs: 20, parent: 2, child: 3 });
  table.take({ kind: 'fork', atMs: 21, parent: 3, child: 4 });
  table.take({ kind: 'exec', atMs: 22, pid: 4 });
  table.execute({ pid: 4, serial: 2, atMs: 21.5, image: image('/bin/sh', 'sh', '-c', 'x') });
  table.take({ kind: 'fork', atMs: 30, parent: 4, child: 5 });
  t.deepEqual(
    table.ancestorsOf(5, 35).map(({ image: found }) => found),
    [image('/bin/sh', 'sh', '-c', 'x'), image('/bin/bwrap'), image('/bin/bwrap')],
  );
  t.deepEqual(table.imageBefore({ pid: 2, atMs: 30, serial: 9 }), image('/bin/bwrap'));
  // One of which nothing is known may be such a child.
  table.execute({ pid: 77, serial: 3, atMs: 30, image: image('/bin/sh', 'secret') });
  t.deepEqual(table.imageBefore({ pid: 77, atMs: 30, serial: 9 }), image('/bin/sh'));
});

test('ProcessTable: a call was after its program was executed, and before the end of its process', (t) => {
  const table = family();
  const call = { pid: 2, atMs: 9, serial: 4 };
  t.deepEqual(table.spanOf(call), { fromMs: 11, toMs: Number.POSITIVE_INFINITY });
  t.is(table.spanOf({ ...call, serial: 0 }).fromMs, 10, 'before the execution');
  table.take({ kind: 'exit', atMs: 40, pid: 2, status: 0 });
  t.deepEqual(table.spanOf(call), { fromMs: 11, toMs: 40 });
  table.take({ kind: 'thread', atMs: 25, pid: 3 });
  table.take({ kind: 'exit', atMs: 41, pid: 3, status: 0 });
  t.deepEqual(table.spanOf({ pid: 3, atMs: 22, serial: 9 }), { fromMs: 20, toMs: Number.POSITIVE_INFINITY });
  t.is(table.spanOf({ pid: 99, atMs: 0, serial: 0 }).fromMs, Number.NEGATIVE_INFINITY);
});

test('ProcessTable: the lives from which a process has what is open, to the root or not at all', (t) => {
  const table = new ProcessTable(1);
  table.take({ kind: 'fork', atMs: 100, parent: 1, child: 2 });
  table.take({ kind: 'fork', atMs: 200, parent: 2, child: 3 });
  table.take({ kind: 'exit', atMs: 250, pid: 2, status: 0 });
  // A tick of the records' clock before the beginning and after the record.
  t.deepEqual(table.lineageOf(3, 300), [
    { pid: 3, startMs: 180, endMs: 320 },
    { pid: 2, startMs: 80, endMs: 200 },
  ]);
  t.is(table.lineageOf(9, 300), undefined);
  table.markLost();
  t.is(table.lineageOf(3, 300), undefined);
});

test('ProcessTable: is bounded', (t) => {
  const table = new ProcessTable(1);
  for (let pid = 2; pid < 40_000; pid += 1) {
    table.take({ kind: 'fork', atMs: pid, parent: 1, child: pid });
    table.execute({ pid, serial: pid, atMs: pid, image: image('/a') });
    table.take({ kind: 'exit', atMs: pid + 0.5, pid, status: 0 });
  }
  t.is(table.find(2, 2), undefined);
  t.is(table.imageBefore({ pid: 2, atMs: 2, serial: 1e9 }), undefined);
  t.is(table.imageBefore({ pid: 39_999, atMs: 39_999, serial: 1e9 })?.binary, '/a');
});

/** struct cn_msg and struct proc_event, as Linux writes them. */
function message(what: number, words: readonly number[]): Buffer {
  const bytes = Buffer.alloc(20 + 16 + 24);
  bytes.writeUInt32LE(1, 0);
  bytes.writeUInt32LE(1, 4);
  bytes.writeUInt32LE(42, 8);
  bytes.writeUInt32LE(what >>> 0, 20);
  bytes.writeUInt32LE(1, 24);
  bytes.writeBigUInt64LE(5_500_000n, 28);
  for (const [index, word] of words.entries()) bytes.writeUInt32LE(word, 36 + 4 * index);
  return bytes;
}

test('parseProcessMessage: fork, exec, exit and name of processes, and that one has threads', (t) => {
  const common = { sequence: 42, processor: 1 };
  const event = (what: number, words: readonly number[]) => parseProcessMessage(message(what, words));
  t.deepEqual(event(1, [5, 4, 7, 7]), { ...common, event: { kind: 'fork', atMs: 5.5, parent: 4, child: 7 } });
  t.deepEqual(event(1, [5, 4, 8, 4]), { ...common, event: { kind: 'thread', atMs: 5.5, pid: 4 } });
  t.deepEqual(event(2, [9, 7]), { ...common, event: { kind: 'exec', atMs: 5.5, pid: 7 } });
  t.deepEqual(event(0x80000000, [7, 7, 0x8b]), { ...common, event: { kind: 'exit', atMs: 5.5, pid: 7, status: 0x8b } });
  t.deepEqual(event(0x80000000, [8, 7]), common);
  t.deepEqual(event(0x200, [7, 7]), { ...common, event: { kind: 'name', atMs: 5.5, pid: 7 } });
  t.is(parseProcessMessage(Buffer.alloc(10)), undefined);
});
