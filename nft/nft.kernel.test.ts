import { resolve } from 'node:path';
import test from 'ava';
import { kernelTest } from '../e2e/support/kernel-tier.ts';
import { makeScratchNamespace, type ScratchNamespace } from '../e2e/support/scratch-namespace.ts';
import { expectLoaded } from '../e2e/support/table-structure.ts';
import { type Feature, probeFeatures, probes } from './features.ts';
import type { Ruleset } from './model.ts';
import { applyRuleset, checkRuleset, listTable, readCounters, removeTable } from './nft.ts';

const good: Ruleset = {
  table: { family: 'inet', name: 'tw_test' },
  counters: ['refused', 'seen'],
  sets: [{ name: 'recent', type: 'ipv4_addr . inet_service', flags: ['dynamic', 'timeout'], size: 64, timeoutS: 30 }],
  chains: [
    { name: 'side', rules: [{ body: 'counter name seen', comment: 'side' }] },
    {
      name: 'output',
      hook: { type: 'filter', hook: 'output', priority: -7, policy: 'accept' },
      rules: [
        { body: 'jump side', comment: 'counted' },
        { body: 'ip daddr 127.0.0.2 counter name refused drop', comment: 'dropped' },
      ],
    },
  ],
};
/** nft takes its syntax, the kernel refuses it: address translation has no forward hook. */
const bad: Ruleset = {
  ...good,
  chains: [
    {
      name: 'output',
      hook: { type: 'nat', hook: 'forward', priority: 0, policy: 'accept' },
      rules: [{ body: 'masquerade', comment: 'in the wrong place' }],
    },
  ],
};

let scratch: ScratchNamespace;
test.before(async () => {
  if (process.geteuid?.() === 0) scratch = await makeScratchNamespace();
});
test.after.always(async () => await scratch?.close());

kernelTest('applyRuleset() makes the table of the model, and one table when it is called twice', async (t) => {
  await expectLoaded(t, { run: scratch.run }, good);
});

kernelTest('renderRuleset() renders what nft takes, of all that the model can say', async (t) => {
  await t.notThrowsAsync(scratch.run(['nft', '-f', resolve('nft/testdata/everything.nft')]));
  await t.notThrowsAsync(scratch.run(['nft', '--check', '-f', resolve('nft/testdata/probes.nft')]));
});

kernelTest('applyRuleset() leaves the old table as it was when the kernel refuses the new one', async (t) => {
  await applyRuleset({ run: scratch.run }, good);
  const before = await listTable({ run: scratch.run }, good.table);
  await t.throwsAsync(applyRuleset({ run: scratch.run }, bad), { code: 'NFT_REJECTED', message: /table inet tw_test/ });
  t.deepEqual(await listTable({ run: scratch.run }, good.table), before);
});

kernelTest('checkRuleset() says what the kernel would, and loads nothing', async (t) => {
  const other = { family: 'inet', name: 'tw_unloaded' } as const;
  await checkRuleset({ run: scratch.run }, { ...good, table: other });
  await t.throwsAsync(checkRuleset({ run: scratch.run }, { ...bad, table: other }), { code: 'NFT_REJECTED' });
  await t.throwsAsync(listTable({ run: scratch.run }, other), { code: 'NFT_NOT_FOUND' });
});

kernelTest('readCounters() reads packets and bytes by name', async (t) => {
  await applyRuleset({ run: scratch.run }, good);
  const perl =
    'use Socket; socket($s, AF_INET, SOCK_DGRAM, 0); send($s, "x" x 72, 0, pack_sockaddr_in(9, inet_aton(shift)))';
  for (const address of ['127.0.0.2', '127.0.0.2', '127.0.0.3']) await scratch.run(['perl', '-e', perl, address]);
  const counters = await readCounters({ run: scratch.run }, good.table);
  t.deepEqual(counters.get('refused'), { packets: 2, bytes: 200 });
  // The kernel answers the datagram to the closed port of 127.0.0.3 with an ICMP error, which is counted too.
  t.is(counters.get('seen')?.packets, 4);
});

kernelTest('removeTable() removes it, and fails with NFT_NOT_FOUND when there is none', async (t) => {
  await applyRuleset({ run: scratch.run }, good);
  await removeTable({ run: scratch.run }, good.table);
  await t.throwsAsync(removeTable({ run: scratch.run }, good.table), { code: 'NFT_NOT_FOUND' });
  await t.throwsAsync(readCounters({ run: scratch.run }, good.table), { code: 'NFT_NOT_FOUND' });
});

kernelTest('applyRuleset() fails with NFT_MISSING where a namespace finds no nft', async (t) => {
  await scratch.run(['ip', 'netns', 'add', 'inner']);
  const enter = ['env', 'PATH=/nonexistent', '/usr/sbin/ip', 'netns', 'exec', 'inner'];
  await t.throwsAsync(applyRuleset({ run: scratch.run, enter }, good), { code: 'NFT_MISSING' });
  await t.throwsAsync(listTable({ run: scratch.run, enter: ['ip', 'netns', 'exec', 'none'] }, good.table), {
    code: 'NFT_REJECTED',
    message: /Cannot open network namespace/,
  });
});

kernelTest('probeFeatures() finds what this kernel has, and a missing feature by its refusal', async (t) => {
  const features = await probeFeatures({ run: scratch.run });
  t.deepEqual(Object.keys(features), Object.keys(probes));
  // What every kernel has that these tests run on; masquerade and logs may be modules that are not there.
  for (const name of [
    'filter',
    'counter',
    'rejectReset',
    'rejectIcmp',
    'limit',
    'dynamicSet',
  ] as const satisfies Feature[]) {
    t.true(features[name], name);
  }
  // A user namespace cannot be fooled, so the probe is: an nft that refuses one rule, as a kernel without nft_log does.
  const without = await probeFeatures({
    run: async (argv, options) => {
      const text = argv.includes('-f') ? (await scratch.run(['cat', argv.at(-1) ?? ''])).stdout : '';
      return await scratch.run(/\blog prefix/.test(text) ? ['nft', 'list', 'table', 'inet', 'none'] : argv, options);
    },
  });
  t.deepEqual(without, { ...features, log: false });
  t.deepEqual((await scratch.run(['nft', 'list', 'tables'])).stdout.match(/tapwarden_probe/g), null);
});
