import { join } from 'node:path';
import { sandboxProcesses } from '../support/host-snapshot.ts';
import { readEvents, withCode } from '../support/record.ts';
import { until } from '../support/until.ts';
import { type Bench, vmTest } from '../support/vm-test.ts';

/** Is refused once, so that there is something to lose, and then waits. */
const waits =
  'import socket, time\nprint(socket.socket().connect_ex(("198.51.100.1", 80)), flush=True)\ntime.sleep(120)';

vmTest('run: when QEMU is killed it ends with VMM_FAILED, and the record tells what was known', async (t, bench) => {
  const log = join(bench.folder, 'events.jsonl');
  const run = bench.start(['--events', log, '--', 'python3', '-c', waits]);
  await until(() => run.output() === '111\n', 90_000);
  // The command's output and the word of its refusal come on ways of their own, and either may be first.
  await until(async () => withCode(await readEvents(log), 'egress-denied').length === 1, 30_000);
  await killProcess(bench, 'qemu');
  const { status, stderr, result, events } = await run.ended;
  t.is(status, 125);
  t.regex(stderr, /^tapwarden: VMM_FAILED: The virtual machine ended with SIGKILL/);
  t.is(result?.reason, 'tapwarden');
  t.is(result?.lost, null, 'nobody knows what the guest still had to say');
  t.deepEqual([result?.denied, result?.attempts], [1, 1], 'what it had said is in the result');
  t.is(withCode(events, 'egress-denied').length, 1);
});

vmTest('run: when the channel process is killed it ends with CHANNEL_CLOSED, and QEMU goes too', async (t, bench) => {
  const run = bench.start(['--', 'python3', '-c', waits]);
  await until(() => run.output() === '111\n', 90_000);
  await killProcess(bench, 'node');
  const { status, stderr, result } = await run.ended;
  t.is(status, 125);
  t.regex(stderr, /^tapwarden: CHANNEL_CLOSED: The channel process ended with SIGKILL/);
  t.is(result?.reason, 'tapwarden');
  t.is(result?.lost, null);
});

async function killProcess(bench: Bench, name: string): Promise<void> {
  const found = (await sandboxProcesses()).filter((one) => bench.isOurs(one) && one.name.startsWith(name));
  if (found.length !== 1) throw new Error(`there are ${found.length} processes ${name}`);
  for (const { pid } of found) process.kill(pid, 'SIGKILL');
}
