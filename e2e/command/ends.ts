import { mkdtemp, rmdir } from 'node:fs/promises';
import type { ExecutionContext } from 'ava';
import { withCode } from '../support/record.ts';
import type { Bench } from '../support/sandbox-bench.ts';

/** Commands that end by a signal, or as if by one. */
const ends: readonly {
  readonly title: string;
  readonly script: string;
  readonly exit: number;
  readonly reason: 'exited' | 'signal';
  readonly code: string;
}[] = [
  {
    title: 'a command that SIGTERM ends',
    script: 'kill -TERM $$',
    exit: 143,
    reason: 'signal',
    code: 'signal:SIGTERM',
  },
  {
    title: 'a command that SIGKILL ends, with processes that it left behind',
    script: 'sleep 100 & sh -c "exit 7"; kill -KILL $$',
    exit: 137,
    reason: 'signal',
    code: 'signal:SIGKILL',
  },
  { title: 'a command that exits with 143', script: 'exit 143', exit: 143, reason: 'exited', code: 'exit:143' },
  {
    title: 'a command that exits with 137 after a signal ended one of its own',
    script: 'sh -c "kill -KILL \\$\\$"; exit 137',
    exit: 137,
    reason: 'exited',
    code: 'exit:137',
  },
];

type Body = (t: ExecutionContext, bench: Bench) => Promise<void>;

/** Tests of how the end of a command is told, for guests and jails. */
export const endTests: readonly (readonly [title: string, body: Body])[] = [
  ...ends.map(({ title, script, exit, reason, code }): readonly [string, Body] => [
    `${title} is told as that`,
    async (t, bench) => {
      const { status, result, events, stderr } = await bench.run(['--', 'sh', '-c', script]);
      t.is(status, exit, stderr);
      t.deepEqual([result?.exit, result?.reason], [exit, reason]);
      t.is(withCode(events, 'exec-exited')[0]?.status_code, code);
    },
  ]),
  ['a command that cannot be executed after all is an error, and no exit status of it', failsToExecute],
];

/** A directory that only root may enter is met when all else is ready, by the sandbox alone. */
async function failsToExecute(t: ExecutionContext, bench: Bench): Promise<void> {
  const made = bench.boundary === 'jail' ? await mkdtemp('/opt/tapwarden-e2e-') : undefined;
  try {
    const { status, stdout, stderr, result, events } = await bench.run([
      ...['--workdir', made ?? '/root'],
      ...['--', 'echo', 'ran'],
    ]);
    t.is(status, 125, stderr);
    t.is(stdout.toString('utf8'), '');
    t.regex(stderr, /^tapwarden: GUEST_SETUP_FAILED: .*The command was not executed: /m);
    t.is(result?.reason, 'tapwarden');
    t.deepEqual(withCode(events, 'exec-exited'), []);
  } finally {
    if (made !== undefined) await rmdir(made);
  }
}
