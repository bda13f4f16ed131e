import test from 'ava';
import type { ProcessEvent } from './attribution/process-events.ts';
import { CommandEnds } from './command-ends.ts';

const fork = (parent: number, child: number): ProcessEvent => ({ kind: 'fork', atMs: 1, parent, child });
const exec = (pid: number): ProcessEvent => ({ kind: 'exec', atMs: 1, pid });
const exit = (pid: number, status: number): ProcessEvent => ({ kind: 'exit', atMs: 1, pid, status });

/** bwrap is 20, process 1 of its sandbox 30, which forks a helper 31 and the command 32. */
const begun = [fork(10, 20), exec(20), fork(20, 30), fork(30, 31), exit(31, 0), fork(30, 32), exec(32)];

function endsOf(events: readonly ProcessEvent[]): CommandEnds {
  const ends = new CommandEnds(10);
  for (const event of events) ends.take(event);
  return ends;
}

test('CommandEnds tells a command that a signal ended from one that exited with 128 and its number', (t) => {
  t.deepEqual(endsOf([...begun, exit(32, 15)]).takeEnd(30), { status: null, signal: 15 });
  t.deepEqual(endsOf([...begun, exit(32, 0x80 | 11)]).takeEnd(30), { status: null, signal: 11 });
  t.deepEqual(endsOf([...begun, exit(32, 143 << 8)]).takeEnd(30), { status: 143, signal: null });
});

test('CommandEnds says nothing of a command that was not executed, or whose end was not seen', (t) => {
  t.is(endsOf(begun).takeEnd(30), undefined);
  t.is(endsOf([...begun.slice(0, -1), exit(32, 1 << 8)]).takeEnd(30), undefined);
  t.is(endsOf([exit(32, 15)]).takeEnd(30), undefined);
});

test('CommandEnds takes no descendant of the command for it, nor an orphan that process 1 adopted', (t) => {
  const ends = endsOf([...begun, fork(32, 33), exec(33), fork(33, 34), exec(34), exit(33, 9), exit(34, 9)]);
  t.is(ends.takeEnd(30), undefined);
  ends.take(exit(32, 0));
  t.deepEqual(ends.takeEnd(30), { status: 0, signal: null });
  t.is(ends.takeEnd(30), undefined, 'once');
});
