import type { ExecutionContext } from 'ava';
import { type RunOutcome, vmTest } from '../support/vm-test.ts';

/** How many runs in a row. A whole check does 30, which takes minutes under emulation; `TAPWARDEN_RUNS` asks for fewer. */
const inARow = Number(process.env['TAPWARDEN_RUNS'] ?? 30);
const atOnce = 4;

vmTest(
  `run: ${inARow} runs in a row all succeed and leave nothing`,
  async (t, bench) => {
    for (let number = 1; number <= inARow; number += 1) {
      checkOne(t, await bench.run(['--', 'sh', '-c', `echo ${number}`]), number);
    }
  },
  inARow * 60_000,
);

vmTest(`run: ${atOnce} runs at once all succeed and leave nothing`, async (t, bench) => {
  const numbers = Array.from({ length: atOnce }, (_, at) => at + 1);
  const runs = await Promise.all(numbers.map(async (number) => await bench.run(['--', 'sh', '-c', `echo ${number}`])));
  for (const [at, run] of runs.entries()) checkOne(t, run, at + 1);
});

function checkOne(t: ExecutionContext, { status, stdout, stderr, result }: RunOutcome, number: number): void {
  t.is(status, 0, `run ${number}: ${stderr}`);
  t.is(stdout.toString('utf8'), `${number}\n`);
  t.like(result, { exit: 0, reason: 'exited', allowed: 0, denied: 0, attempts: 0, lost: 0 });
}
