import { setTimeout as sleep } from 'node:timers/promises';
import type { ExecutionContext } from 'ava';
import type { Bench, Running } from '../support/sandbox-bench.ts';

/** Says when it is ready, what signals it gets, and that it goes on. */
const script = `
trap 'echo interrupted' INT
trap 'echo terminated; exit 9' TERM
echo ready
while :; do sleep 0.1; done
`;

/** Tests of signals that tapwarden gets while a command runs, for guests and jails. */
export const signalTests: readonly (readonly [
  title: string,
  body: (t: ExecutionContext, bench: Bench) => Promise<void>,
])[] = [
  [
    'SIGTERM reaches the command, which may end as it likes',
    async (t, bench) => {
      const run = bench.start(['--', 'sh', '-c', script]);
      run.stdin.end();
      await until(run, 'ready');
      run.kill('SIGTERM');
      const { status, stdout, result } = await run.ended;
      t.is(status, 9);
      t.is(stdout.toString('utf8'), 'ready\nterminated\n');
      t.deepEqual([result?.exit, result?.reason, result?.lost], [9, 'exited', 0]);
    },
  ],
  [
    'SIGINT reaches the command, and a second one ends the sandbox',
    async (t, bench) => {
      const run = bench.start(['--', 'sh', '-c', script]);
      run.stdin.end();
      await until(run, 'ready');
      run.kill('SIGINT');
      await until(run, 'interrupted');
      const asked = Date.now();
      run.kill('SIGINT');
      const { status, stdout, result } = await run.ended;
      t.is(status, 130);
      t.is(stdout.toString('utf8'), 'ready\ninterrupted\n', 'the command heard of the first alone');
      t.true(Date.now() - asked < 5000, 'it does not wait for the command');
      t.deepEqual([result?.exit, result?.reason], [130, 'signal']);
    },
  ],
];

/** Waits until the command has written a word. */
async function until(run: Running, word: string): Promise<void> {
  const deadline = Date.now() + 60_000;
  while (!run.output().includes(word)) {
    if (Date.now() > deadline) throw new Error(`the command did not write '${word}', but: ${run.output()}`);
    await sleep(20);
  }
}
