import test from 'ava';
import { formatMonotonic, parseKernelLogRecord } from './kernel-log-record.ts';

test('parseKernelLogRecord() reads facility, sequence, time and text', (t) => {
  t.deepEqual(parseKernelLogRecord('6,251,2385494,-;TW1 x deny IN='), {
    facility: 0,
    sequence: 251,
    microseconds: 2_385_494,
    text: 'TW1 x deny IN=',
  });
  t.is(parseKernelLogRecord('12,1,1,-;from a program')?.facility, 1);
  t.is(parseKernelLogRecord('15,1,1,-;from a program')?.facility, 1);
  t.is(parseKernelLogRecord('7,1,1,-;from the kernel')?.facility, 0);
  t.is(parseKernelLogRecord('6,1,1,-,caller=T12;text; with more')?.text, 'text; with more');
  t.is(parseKernelLogRecord('6,1,1,c;')?.text, '');
});

for (const line of [
  '',
  ' SUBSYSTEM=net',
  '6,251,2385494;no flags',
  '6,251,-;no time',
  'x6,251,1,-;a',
  ' 6,251,1,-;a',
  '-6,251,1,-;a',
  '6.0,251,1,-;a',
  '12345,251,1,-;a',
  '6,251,1,-',
  `6,${'9'.repeat(20)},1,-;a`,
]) {
  test(`parseKernelLogRecord() refuses ${JSON.stringify(line.slice(0, 40))}`, (t) => {
    t.is(parseKernelLogRecord(line), undefined);
  });
}

test('formatMonotonic() writes seconds and six digits', (t) => {
  t.is(formatMonotonic(0), '0.000000');
  t.is(formatMonotonic(2_385_494), '2.385494');
  t.is(formatMonotonic(1_000_001), '1.000001');
});
