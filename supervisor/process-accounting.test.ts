import test from 'ava';
import { endOfFirstProgram } from './process-accounting.ts';

/** `struct acct_v3`, 64 bytes. Source: include/uapi/linux/acct.h. */
function record(fields: { pid: number; parent: number; wait: number; version?: number }): Buffer {
  const buffer = Buffer.alloc(64, 0xee);
  buffer.writeUInt8(fields.version ?? 3, 1);
  buffer.writeUInt32LE(fields.wait, 4);
  buffer.writeUInt32LE(fields.pid, 16);
  buffer.writeUInt32LE(fields.parent, 20);
  return buffer;
}

test('endOfFirstProgram() tells an exit with 143 from the end by signal 15', (t) => {
  t.deepEqual(endOfFirstProgram(record({ pid: 9, parent: 5, wait: 143 << 8 }), 5), { status: 143, signal: null });
  t.deepEqual(endOfFirstProgram(record({ pid: 9, parent: 5, wait: 15 }), 5), { status: null, signal: 15 });
  t.deepEqual(endOfFirstProgram(record({ pid: 9, parent: 5, wait: 0 }), 5), { status: 0, signal: null });
  t.deepEqual(endOfFirstProgram(record({ pid: 9, parent: 5, wait: 11 | 0x80 }), 5), { status: null, signal: 11 });
});

test('endOfFirstProgram() takes the lowest pid of the parent, in whatever order they ended', (t) => {
  const records = Buffer.concat([
    record({ pid: 30, parent: 5, wait: 1 << 8 }),
    record({ pid: 7, parent: 6, wait: 2 << 8 }),
    record({ pid: 20, parent: 5, wait: 3 << 8 }),
    record({ pid: 40, parent: 5, wait: 4 << 8 }),
  ]);
  t.deepEqual(endOfFirstProgram(records, 5), { status: 3, signal: null });
});

test('endOfFirstProgram() finds nothing where there is nothing: no records, another parent, another version', (t) => {
  t.is(endOfFirstProgram(Buffer.alloc(0), 5), undefined);
  t.is(endOfFirstProgram(record({ pid: 9, parent: 5, wait: 0 }), 4), undefined);
  t.is(endOfFirstProgram(record({ pid: 9, parent: 5, wait: 0, version: 2 }), 5), undefined);
});

test('endOfFirstProgram() passes over a record that is not written to its end', (t) => {
  const whole = record({ pid: 9, parent: 5, wait: 1 << 8 });
  const torn = record({ pid: 3, parent: 5, wait: 2 << 8 }).subarray(0, 63);
  t.deepEqual(endOfFirstProgram(Buffer.concat([whole, torn]), 5), { status: 1, signal: null });
});
