import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { letsDirectRulesOut, policy } from './direct.ts';
import { networkOf } from './support/network-state.ts';
import { makeScratchNamespace } from './support/scratch-namespace.ts';
import { vmTest } from './support/vm-test.ts';
import { makeWorld } from './support/world.ts';

vmTest('run: a direct rule lets its own packets out, masqueraded, and nothing beside it', letsDirectRulesOut);

vmTest('run: a table of the host that drops what a direct rule allows is an error before a boot', async (t, bench) => {
  const scratch = await makeScratchNamespace();
  const world = await makeWorld(scratch);
  try {
    const rules = join(bench.folder, 'blocking.nft');
    await writeFile(
      rules,
      'table inet guard {\n chain fw {\n type filter hook forward priority 0; policy drop;\n }\n}\n',
    );
    await scratch.run(['nft', '-f', rules]);
    const before = await networkOf(scratch.run);
    const file = join(bench.folder, 'policy.json');
    await writeFile(file, policy);
    const run = await bench.run(['--policy', file, '--', 'true'], { before: scratch.enter });
    t.is(run.status, 125);
    t.regex(
      run.stderr,
      /^tapwarden: DIRECT_BLOCKED: .*table inet guard, chain fw, by its policy: udp 198\.51\.100\.2\/32 port 7000/m,
    );
    t.regex(run.stderr, /nft insert rule inet guard fw iifname "twv\*" accept/);
    t.deepEqual(run.events, [], 'no sandbox was started');
    t.is(await networkOf(scratch.run), before, 'nothing is left of the uplink');
  } finally {
    await world.close();
    await scratch.close();
  }
});
