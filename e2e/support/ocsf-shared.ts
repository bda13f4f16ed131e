import type { ExecutionContext } from 'ava';
import { schemaAvailable } from './ocsf-schema.ts';

/** Whether the test must end here because there are no OCSF schemas; where they are required, that fails it. */
export function skipWithoutSchemas(t: ExecutionContext): boolean {
  const reason = schemaAvailable();
  if (reason === undefined) return false;
  if (process.env['REQUIRE'] !== undefined) t.fail(reason);
  t.log(`skipped: ${reason}`);
  t.pass();
  return true;
}
