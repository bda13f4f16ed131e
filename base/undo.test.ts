import test from 'ava';
import { UndoStack } from './undo.ts';

test('UndoStack.unwind() runs the steps newest first, one after the other', async (t) => {
  const undo = new UndoStack();
  const order: string[] = [];
  undo.push('a', () => void order.push('a'));
  undo.push('b', async () => {
    await new Promise((resolve) => setTimeout(resolve, 20));
    order.push('b');
  });
  undo.push('c', () => void order.push('c'));
  t.is(undo.size, 3);
  await undo.unwind();
  t.deepEqual(order, ['c', 'b', 'a']);
  t.is(undo.size, 0);
});

test('UndoStack.unwind() runs every step though some fail, and throws all failures with their names', async (t) => {
  const undo = new UndoStack();
  const order: string[] = [];
  const cause = new Error('busy');
  undo.push('delete the namespace', () => void order.push('first'));
  undo.push('end the process', () => {
    throw cause;
  });
  undo.push('remove the file', async () => {
    await Promise.reject('not an error');
  });
  const error = await t.throwsAsync<AggregateError>(undo.unwind(), { instanceOf: AggregateError });
  t.deepEqual(order, ['first']);
  t.is(error?.message, 'Cannot remove the file: not an error\nCannot end the process: busy');
  t.is(error?.errors[1].cause, cause);
});

test('UndoStack.unwind() called again runs only what was pushed since', async (t) => {
  const undo = new UndoStack();
  let runs = 0;
  undo.push('count', () => {
    runs += 1;
    throw new Error('once');
  });
  await t.throwsAsync(undo.unwind());
  await undo.unwind();
  t.is(runs, 1);
  undo.push('again', () => {
    runs += 10;
  });
  await Promise.all([undo.unwind(), undo.unwind()]);
  t.is(runs, 11);
});
