import test, { type ExecutionContext } from 'ava';
import { schemaAvailable } from './ocsf-schema.ts';
import { type Bench, withBench } from './sandbox-bench.ts';
import { isRequired, whyNoGuests } from './tier.ts';

export type { Bench, Running, RunOutcome } from './sandbox-bench.ts';

/**
 * A test that boots guests, with a bench. Where guests cannot be booted it is skipped with the reason in its title, or
 * fails when `REQUIRE` names the tier `vm`.
 */
export function vmTest(
  title: string,
  body: (t: ExecutionContext, bench: Bench) => Promise<void>,
  timeoutMs = 300_000,
): void {
  const reason = whyNoGuests() ?? (isRequired('vm') ? schemaAvailable() : undefined);
  if (reason === undefined) {
    test.serial(title, async (t) => await withBench(t, 'vm', body, timeoutMs));
  } else if (isRequired('vm')) {
    test.serial(title, (t) => t.fail(`REQUIRE has vm, but ${reason}`));
  } else {
    test.serial.skip(`${title} (skipped: ${reason})`, (t) => t.pass());
  }
}
