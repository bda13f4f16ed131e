import { gapTests } from '../bypass-detection/log-gaps.ts';
import { logGaps } from '../support/evidence/gaps.ts';
import { jailTest } from '../support/jail-test.ts';

for (const [name, body] of gapTests('jail')) {
  jailTest(`jail: ${logGaps[name].what}`, async (t, bench) => void (await body(t, bench)));
}
