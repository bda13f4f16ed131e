import { forgeries } from '../support/evidence/forgeries.ts';
import { vmTest } from '../support/vm-test.ts';
import { stopsForgeries } from './forgeries.ts';

// In one guest, because a boot is dear under emulation.
vmTest('bypass-detection: what passes for evidence and is none is told of as nothing', async (t, bench) => {
  await stopsForgeries(t, bench, Object.keys(forgeries) as (keyof typeof forgeries)[]);
});
