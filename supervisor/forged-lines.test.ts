import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import type { ForgedLinesFact } from '../channel/index.ts';
import { ForgedLines } from './forged-lines.ts';

const tag = 'k3j9x2abcdefghij';
const line = `TW1 ${tag} deny IN= OUT=eth0 SRC=10.200.0.2`;

function taking(everyMs = 60_000): {
  take: (text: string, facility: number) => void;
  facts: ForgedLinesFact[];
  flush: () => void;
} {
  const facts: ForgedLinesFact[] = [];
  const forged = new ForgedLines({ tag, everyMs, onFact: (fact) => facts.push(fact) });
  const take = (text: string, facility: number): void => forged.take({ facility, sequence: 1, microseconds: 1, text });
  return { take, facts, flush: () => forged.flush() };
}

const forgeries: Readonly<Record<string, readonly [text: string, facility: number, by: ForgedLinesFact['by']]>> = {
  'a line that a program wrote': [line, 1, 'program'],
  'a line that a program wrote with a number before it': [`<6>${line}`, 1, 'program'],
  'a line in the form in which records are read': [`6,1,1,-;${line}`, 1, 'program'],
  'a crash of a program with such a name': ['TW1 k3j9x2abcde[812]: segfault at 0 ip 0000', 0, 'kernel'],
};
for (const [title, [text, facility, by]] of Object.entries(forgeries)) {
  test(`ForgedLines: ${title} is one`, (t) => {
    const { take, facts } = taking();
    take(text, facility);
    t.deepEqual(facts, [{ kind: 'forged-lines', by, lines: 1 }]);
  });
}

const others: Readonly<Record<string, readonly [text: string, facility: number]>> = {
  'our own marker': [`tapwarden-marker ${tag} 1`, 1],
  'a line of another run': ['TW1 zzzzzzzzzzzzzzzz deny IN= OUT=eth0 SRC=10.200.0.2', 1],
  'a line of another run that the kernel wrote': ['TW1 zzzzzzzzzzzzzzzz deny IN= OUT=eth0 SRC=10.200.0.2', 0],
  'a line of the fence that has another form': [`TW1 ${tag} deny IN= OUT=eth0 something new`, 0],
  'a record of the kernel': ['eth0: renamed from veth1', 0],
};
for (const [title, [text, facility]] of Object.entries(others)) {
  test(`ForgedLines: ${title} is none`, (t) => {
    const { take, facts, flush } = taking();
    take(text, facility);
    flush();
    t.deepEqual(facts, []);
  });
}

test('ForgedLines: thousands are told of at once, then with how many more there were', async (t) => {
  const { take, facts } = taking(50);
  for (let count = 0; count < 3000; count += 1) take(line, 1);
  t.is(facts.length, 1);
  await sleep(120);
  t.deepEqual(
    facts.map(({ lines }) => lines),
    [1, 2999],
  );
});
