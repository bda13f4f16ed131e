import { type Attribution, openAttribution } from '../../supervisor/attribution/attribution.ts';
import { testIds } from './attribution-world.ts';

/**
 * A program for tests that must kill whoever uses audit: opens attribution, says `open` or why not, and waits for the end of its input, at which it closes.
 */
const attribution: Attribution = await openAttribution({ ids: testIds });
process.stdout.write(`${attribution.obstacle ?? 'open'}\n`);
process.stdin.resume().once('end', () => {
  void attribution.close().then(() => process.exit(0));
});
