import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { vmTest } from './support/vm-test.ts';

vmTest('a guest loads the fence that its host compiled, and its workload lies where nobody knows', async (t, bench) => {
  const timings = join(bench.folder, 'timings.json');
  const setting = '/proc/sys/kernel/randomize_va_space';
  const script = `cat ${setting}; for i in 1 2; do grep -m 1 libc /proc/self/maps; done`;
  const { status, stdout, stderr } = await bench.run(['--', 'sh', '-c', script], {
    env: { TAPWARDEN_TIMINGS: timings },
  });
  t.is(status, 0, stderr);
  t.is((JSON.parse(await readFile(timings, 'utf8')) as Record<string, number>)['guestFenceCompiled'], 1);
  const [randomised, ...libraries] = stdout.toString('utf8').trim().split('\n');
  t.is(randomised, '2');
  t.is(libraries.length, 2);
  t.not(libraries[0]?.split('-')[0], libraries[1]?.split('-')[0]);
});
