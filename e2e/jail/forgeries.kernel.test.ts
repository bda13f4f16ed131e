import { stopsForgeries } from '../bypass-detection/forgeries.ts';
import { forgeries } from '../support/evidence/forgeries.ts';
import { jailTest } from '../support/jail-test.ts';

const all = Object.keys(forgeries) as (keyof typeof forgeries)[];

jailTest('jail: what passes for evidence and is none is told of as nothing', async (t, bench) => {
  await stopsForgeries(t, bench, all);
});

jailTest('jail: of forgeries that are stopped the record stays complete', async (t, bench) => {
  await stopsForgeries(
    t,
    bench,
    all.filter((name) => name !== 'insider'),
  );
});
