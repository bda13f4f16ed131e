import { fileURLToPath } from 'node:url';
import { makeAttributionWorld } from '../../e2e/support/attribution-world.ts';
import { kernelTest } from '../../e2e/support/kernel-tier.ts';
import { until } from '../../e2e/support/until.ts';
import type { Lateness } from './attribution.ts';

const script = fileURLToPath(new URL('../../../supervisor/testdata/attempt.pl', import.meta.url));

kernelTest('answers that come late are said to be late, and when they are in time again', async (t) => {
  const said: Lateness[] = [];
  // Of a process without an audit session id there is no record, for which its packet waits that long.
  const world = await makeAttributionWorld({ waitMs: 2600, onLateness: (lateness) => said.push(lateness) });
  try {
    const argv = ['/usr/bin/perl', script, 'sendto', '198.51.100.7', '4999', '0'] as const;
    await world.start(1, argv, { id: false }).ended;
    const told = await world.settle();
    t.is(told.length, 1);
    await until(() => said.includes('none'));
    if (world.attribution.obstacle === undefined) t.deepEqual(said, ['some', 'much', 'none']);
    else t.log(`answers come at once: the kernel's audit system cannot be used: ${world.attribution.obstacle}`);
  } finally {
    await world.close();
  }
});
