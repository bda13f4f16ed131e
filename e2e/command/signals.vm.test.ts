import { setTimeout as sleep } from 'node:timers/promises';
import { vmTest } from '../support/vm-test.ts';
import { signalTests } from './signals.ts';

for (const [title, body] of signalTests) vmTest(`run: ${title}`, body);

vmTest('run: SIGTERM while the guest boots ends the run', async (t, bench) => {
  const run = bench.start(['--', 'echo', 'started']);
  run.stdin.end();
  // After the slot is made, and long before an emulated guest is up.
  await sleep(1500);
  run.kill('SIGTERM');
  const { status, stdout, stderr, result } = await run.ended;
  t.is(status, 143, stderr);
  t.is(stdout.toString('utf8'), '');
  t.deepEqual([result?.exit, result?.reason], [143, 'signal']);
});
