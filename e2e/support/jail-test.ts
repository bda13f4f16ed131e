import test, { type ExecutionContext } from 'ava';
import { schemaAvailable } from './ocsf-schema.ts';
import { type Bench, withBench } from './sandbox-bench.ts';
import { isRequired, whyNoJails } from './tier.ts';

/**
 * A test that runs commands in jails, with a bench. Where there can be none it is skipped with the reason in its title, or
 * fails when `REQUIRE` names the tier `kernel`.
 */
export function jailTest(
  title: string,
  body: (t: ExecutionContext, bench: Bench) => Promise<void>,
  timeoutMs = 60_000,
): void {
  const reason = whyNoJails() ?? (isRequired('kernel') ? schemaAvailable() : undefined);
  if (reason === undefined) {
    test.serial(title, async (t) => await withBench(t, 'jail', body, timeoutMs));
  } else if (isRequired('kernel')) {
    test.serial(title, (t) => t.fail(`REQUIRE has kernel, but ${reason}`));
  } else {
    test.serial.skip(`${title} (skipped: ${reason})`, (t) => t.pass());
  }
}
