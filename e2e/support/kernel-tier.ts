import test, { type ExecutionContext } from 'ava';

/** Why tests that need root cannot run here, or `undefined` when they can. */
function reasonNotToRun(): string | undefined {
  return process.geteuid?.() === 0 ? undefined : 'this needs root: it makes network namespaces';
}

/**
 * Declares a test of the kernel tier, one at a time. Where it cannot run it is skipped with its reason in the log, and
 * fails with `REQUIRE` in the environment.
 */
export function kernelTest(title: string, body: (t: ExecutionContext) => Promise<void>): void {
  const reason = reasonNotToRun();
  if (reason === undefined) {
    test.serial(title, body);
    return;
  }
  test.serial(title, (t) => {
    t.log(`skipped: ${reason}`);
    if (process.env['REQUIRE'] === undefined) t.pass();
    else t.fail(reason);
  });
}
