import test from 'ava';
import { run } from '../base/index.ts';
import { makeExecCgroups } from '../e2e/support/exec-cgroups.ts';
import { kernelTest } from '../e2e/support/kernel-tier.ts';
import { makeScratchNamespace, type ScratchNamespace } from '../e2e/support/scratch-namespace.ts';
import { applyRuleset, type DirectDestination } from '../nft/index.ts';
import { type CompiledFence, loadCompiledFence } from '../supervisor/compiled-fence.ts';
import { fenceRuleset } from '../supervisor/fence.ts';
import { inWorkloadNamespace } from '../supervisor/fence-loader.ts';
import { fenceRulesets } from '../supervisor/fence-rulesets.ts';
import { guestRuleset } from '../supervisor/guest-table.ts';
import { namespaceSetup } from '../supervisor/workload-namespace.ts';
import { compileFence } from './fence-compiler.ts';

const tag = 'compiled22compiled';
const direct: readonly DirectDestination[] = [
  { rule: 'ntp', protocol: 17, cidr: '192.0.2.10/32', ports: [123, 123] },
  { rule: 'mirror', protocol: 6, cidr: '2001:db8::/64', ports: [8000, 8010] },
];

let scratch: ScratchNamespace;
test.beforeEach(async () => {
  if (process.geteuid?.() !== 0) return;
  scratch = await makeScratchNamespace();
  await scratch.run(['sh', '-euc', namespaceSetup.script], { env: namespaceSetup.env });
});
test.afterEach.always(async () => await scratch?.close());

const namespaces = () => ({
  own: `/proc/${scratch.pid}/ns/net`,
  workload: `/proc/${scratch.pid}/root/run/netns/workload`,
});
const listed = async (): Promise<readonly string[]> => {
  const list = ['nft', '-s', 'list', 'ruleset'] as const;
  return [(await scratch.run(list)).stdout, (await scratch.run([...inWorkloadNamespace, ...list])).stdout];
};
async function compiled(rules: readonly DirectDestination[]): Promise<CompiledFence> {
  const text = await compileFence(run, fenceRulesets(tag, rules));
  if (text === null) throw new Error('This host compiles no fence');
  return { guest: Buffer.from(text.guest, 'base64'), fence: Buffer.from(text.fence, 'base64') };
}

for (const [title, rules] of [
  ['without direct rules', []],
  ['with direct rules', direct],
] as const) {
  kernelTest(`loadCompiledFence() ${title} makes what nft makes of the same rulesets`, async (t) => {
    const cgroups = await makeExecCgroups(3);
    t.teardown(() => cgroups.close());
    const fence = fenceRuleset({ tag, direct: rules, log: true, account: true, execs: cgroups.marks, generation: 'a' });
    await applyRuleset(scratch, guestRuleset(rules));
    await applyRuleset({ run: scratch.run, enter: inWorkloadNamespace }, fence);
    const wanted = await listed();
    for (const enter of [[], inWorkloadNamespace]) await scratch.run([...enter, 'nft', 'flush', 'ruleset'] as never);

    t.true(await loadCompiledFence(await compiled(rules), cgroups.marks, namespaces()));
    const sorted = (lists: readonly string[]) =>
      lists.map((list) =>
        list
          .split(/[\n,]/)
          .map((line) => line.trim())
          .toSorted(),
      );
    t.deepEqual(sorted(await listed()), sorted(wanted));
  });
}

kernelTest('loadCompiledFence() says when the kernel does not take it', async (t) => {
  const { guest, fence } = await compiled([]);
  // A table of that name that has other sets stands in its way.
  await scratch.run([
    ...inWorkloadNamespace,
    'nft',
    'add table inet tapwarden_fence; add set inet tapwarden_fence execs { type mark; }',
  ]);
  t.false(await loadCompiledFence({ guest, fence }, { level: 2, cgroups: [] }, namespaces()));
});

kernelTest('compileFence() leaves it to the guest where the host cannot', async (t) => {
  t.is(await compileFence(async () => await run(['nft-that-is-not-there']), fenceRulesets(tag, [])), null);
  const many = Array.from({ length: 450 }, (_, index) => ({ ...direct[0], ports: [index + 1, index + 1] }) as const);
  t.is(await compileFence(run, fenceRulesets(tag, many as readonly DirectDestination[])), null);
});
