import { setTimeout as sleep } from 'node:timers/promises';
import type { ExecutionContext } from 'ava';
import { run } from '../../base/index.ts';
import { hostTables } from '../support/host-tables.ts';
import { namespaces } from '../support/namespaces.ts';
import { type Bench, vmTest } from '../support/vm-test.ts';

/** Milliseconds after its start at which a run is killed: while it sets up, while the guest comes up, while it is ready. */
const moments = [50, 150, 300, 450, 700, 1200, 2500, 5000];

vmTest('gc: after a kill -9 of tapwarden at any moment it takes away all that was left', async (t, bench) => {
  for (const ms of moments) {
    const running = bench.start(['--quiet', '--', 'sleep', '60']);
    await sleep(ms);
    running.kill('SIGKILL');
    t.is((await running.ended).signal, 'SIGKILL');
    await collect(t, bench);
    t.false((await namespaces()).includes(`tw-${running.id}`), `nothing is left after ${ms} ms`);
  }
});

vmTest('gc: it leaves a run alone that goes on, and that run ends in order', async (t, bench) => {
  const living = bench.start(['--', 'sh', '-c', 'echo ready; read line; echo "$line"']);
  while (!living.output().includes('ready')) await sleep(50);
  const killed = bench.start(['--quiet', '--', 'sleep', '60']);
  await sleep(500);
  killed.kill('SIGKILL');
  await killed.ended;
  const { alive } = await collect(t, bench);
  t.deepEqual(alive, [living.id]);
  living.stdin.end('still here\n');
  const { status, stdout } = await living.ended;
  t.is(status, 0);
  t.is(stdout.toString(), 'ready\nstill here\n');
});

vmTest('gc: a run with direct rules leaves neither veth nor table nor a setting behind', async (t, bench) => {
  const before = await hostTables();
  const policy = `version: 1
rules: [{name: echo, via: direct, protocol: udp, addresses: [192.0.2.77], ports: [7]}]
`;
  const file = `${bench.folder}/policy.yaml`;
  await run(['sh', '-c', 'cat >"$0"', file], { input: policy });
  const running = bench.start(['--quiet', '--policy', file, '--', 'sleep', '60']);
  await sleep(2500);
  t.true((await hostTables()).includes('table inet tapwarden_host'), 'the run had got so far');
  running.kill('SIGKILL');
  await running.ended;
  await collect(t, bench);
  t.deepEqual(await hostTables(), before);
});

async function collect(t: ExecutionContext, bench: Bench): Promise<{ readonly alive: readonly string[] }> {
  const { status, stdout, stderr } = await bench.tapwarden(['gc', '--json']);
  t.is(status, 0, stderr);
  return JSON.parse(stdout.toString()) as { alive: readonly string[] };
}
