import { logGaps } from '../support/evidence/gaps.ts';
import { vmTest } from '../support/vm-test.ts';
import { gapTests } from './log-gaps.ts';

for (const [name, body] of gapTests('vm')) {
  vmTest(`bypass-detection: ${logGaps[name].what}`, async (t, bench) => void (await body(t, bench)));
}
