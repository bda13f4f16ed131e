import test, { type ExecutionContext } from 'ava';
import { isRequired } from './tier.ts';

/** Why tests that need root cannot run here, or `undefined` when they can. */
function reasonNotToRun(): string | undefined {
  return process.geteuid?.() === 0 ? undefined : 'this needs root: it makes network namespaces';
}

/**
 * Declares a test of the kernel tier, one at a time. Where it cannot run it is skipped with its reason in the log, and
 * fails where `REQUIRE` names the tier.
 */
export function kernelTest(title: string, body: (t: ExecutionContext) => Promise<void>): void {
  const reason = reasonNotToRun();
  if (reason === undefined) {
    test.serial(title, body);
    return;
  }
  test.serial(title, (t) => {
    t.log(`skipped: ${reason}`);
    if (isRequired('kernel')) t.fail(reason);
    else t.pass();
  });
}
