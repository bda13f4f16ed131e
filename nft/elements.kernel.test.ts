import test from 'ava';
import { hostRuleset, hostTable } from '../driver-vm/direct/host-table.ts';
import { kernelTest } from '../e2e/support/kernel-tier.ts';
import { makeScratchNamespace, type ScratchNamespace } from '../e2e/support/scratch-namespace.ts';
import { expectLoaded } from '../e2e/support/table-structure.ts';
import { addElements, applyRuleset, deleteElements, listRuleset, listTables } from './nft.ts';

let scratch: ScratchNamespace;
test.before(async () => {
  if (process.geteuid?.() === 0) scratch = await makeScratchNamespace();
});
test.after.always(async () => await scratch?.close());
test.beforeEach(async () => {
  if (process.geteuid?.() === 0) await applyRuleset({ run: scratch.run }, hostRuleset());
});

const elementsOf = async (set: string): Promise<unknown> => {
  const objects = await listRuleset({ run: scratch.run });
  return objects.find((object) => object['set']?.['name'] === set)?.['set']?.['elem'] ?? [];
};

kernelTest('applyRuleset() loads the table of the host as it is written', async (t) => {
  await expectLoaded(t, { run: scratch.run }, hostRuleset());
});

kernelTest('addElements() adds to several sets, and what is there already stays', async (t) => {
  const sets = [
    { set: 'slots', elements: ['"twv1"', '"twv2"'] },
    { set: 'opened', elements: ['ipv4 . "eth0"'] },
    { set: 'closed', elements: [] },
  ];
  await addElements({ run: scratch.run }, hostTable, sets);
  await addElements({ run: scratch.run }, hostTable, sets);
  t.deepEqual(new Set((await elementsOf('slots')) as readonly string[]), new Set(['twv1', 'twv2']));
  t.deepEqual(await elementsOf('opened'), [{ concat: ['ipv4', 'eth0'] }]);
});

kernelTest('deleteElements() deletes all of them, or none', async (t) => {
  await addElements({ run: scratch.run }, hostTable, [{ set: 'slots', elements: ['"twv1"', '"twv2"'] }]);
  await t.throwsAsync(
    deleteElements({ run: scratch.run }, hostTable, [{ set: 'slots', elements: ['"twv1"', '"twv3"'] }]),
    { code: 'NFT_NOT_FOUND' },
  );
  t.is(((await elementsOf('slots')) as readonly string[]).length, 2);
  await deleteElements({ run: scratch.run }, hostTable, [{ set: 'slots', elements: ['"twv1"'] }]);
  t.deepEqual(await elementsOf('slots'), ['twv2']);
});

kernelTest('addElements() names a table or set that does not exist, and what is no element', async (t) => {
  const add = async (name: string, set: string, element: string): Promise<void> =>
    await addElements({ run: scratch.run }, { family: 'inet', name }, [{ set, elements: [element] }]);
  await t.throwsAsync(add('gone', 'slots', '"twv1"'), { code: 'NFT_NOT_FOUND' });
  await t.throwsAsync(add(hostTable.name, 'gone', '"twv1"'), { code: 'NFT_NOT_FOUND' });
  await t.throwsAsync(add(hostTable.name, 'closed', 'ipv5'), { code: 'NFT_REJECTED' });
  for (const element of ['"a" }; flush ruleset; {', '"a\nb"', '']) {
    await t.throwsAsync(add(hostTable.name, 'slots', element), { code: 'RULESET_INVALID' }, element);
  }
});

kernelTest('listTables() lists the tables of the namespace', async (t) => {
  t.true((await listTables({ run: scratch.run })).some(({ name }) => name === hostTable.name));
});
