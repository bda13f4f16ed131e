import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { dir } from 'tmp-promise';
import { messageOf, run } from '../../base/index.ts';
import { isCase } from '../../e2e/support/attribution-cases.ts';
import { makeAttributionWorld, uidOfExec } from '../../e2e/support/attribution-world.ts';
import { auditTest } from '../../e2e/support/audit-state.ts';
import { isRequired } from '../../e2e/support/tier.ts';
import { type TinyKind, tinyProgram } from '../../e2e/support/tiny-program.ts';

const address = '198.51.100.9';

/** Writes an executable that makes one attempt. */
async function writeProgram(
  folder: string,
  bits: 64 | 32,
  kind: TinyKind,
  port: number,
  to = address,
): Promise<string> {
  const path = join(folder, `${kind}-${bits}`);
  await writeFile(path, tinyProgram({ bits, kind, address: to, port }).bytes, { mode: 0o755 });
  return path;
}

/** Why programs of that architecture cannot run here. */
async function whyNot(folder: string, bits: 64 | 32): Promise<string | undefined> {
  // To nobody, on loopback.
  const path = await writeProgram(folder, bits, 'connect', 9, '127.0.0.1');
  return await run([path]).then(
    () => undefined,
    (error: unknown) => messageOf(error).split('\n')[0],
  );
}

async function makeFolder(t: ExecutionContext): Promise<string> {
  const { path, cleanup } = await dir({ unsafeCleanup: true });
  t.teardown(cleanup);
  await chmod(path, 0o755);
  return path;
}

for (const [bits, kinds] of [
  [64, ['connect', 'connect-nonblocking', 'sendto', 'write']],
  [32, ['connect', 'connect-nonblocking', 'sendto', 'write', 'socketcall-connect', 'socketcall-sendto']],
] as const) {
  auditTest(
    `programs of ${bits} bits that live for less than a millisecond are named: ${kinds.join(', ')}`,
    async (t) => {
      const folder = await makeFolder(t);
      const obstacle = await whyNot(folder, bits);
      if (obstacle !== undefined) {
        t.log(`skipped: this kernel runs no programs of ${bits} bits: ${obstacle}`);
        if (isRequired('ia32')) t.fail(obstacle);
        else t.pass();
        return;
      }
      const world = await makeAttributionWorld();
      t.teardown(world.close);
      for (const [index, kind] of kinds.entries()) {
        const port = 5000 + index;
        const path = await writeProgram(folder, bits, kind, port);
        const { pid } = await world.run(1, [path, kind]);
        const [one, ...more] = (await world.settle()).filter(({ fact }) => fact.destinationPort === port);
        t.is(more.length, 0);
        isCase(t, one?.origin, kind === 'write' ? 'connected' : 'addressed');
        t.is(one?.fact.protocol, kind === 'write' || kind.endsWith('sendto') ? 17 : 6, kind);
        t.like(one?.origin.process, { pid, binary: path, uid: uidOfExec(1), arguments: [path, kind] });
      }
    },
  );
}
