import { resolve } from 'node:path';
import test from 'ava';
import type { Argv } from '../base/index.ts';
import { makeFenceWorld } from '../e2e/support/fence-world.ts';
import { kernelTest } from '../e2e/support/kernel-tier.ts';
import { readLogSwitch, setLogSwitch } from '../e2e/support/log-switch.ts';
import { sendCanary } from './canary-packet.ts';
import { inWorkloadNamespace, workloadNamespacePath } from './fence-loader.ts';
import { fenceTable } from './fence-table.ts';

let found: string | undefined;
test.before(async () => {
  found = await readLogSwitch();
});
test.after.always(async () => {
  if (found !== undefined && process.geteuid?.() === 0) await setLogSwitch(found);
});

const canaries = [
  { protocol: 'tcp', address: '203.0.113.9', port: 4000 },
  { protocol: 'udp', address: '203.0.113.9', port: 4000 },
  { protocol: 'tcp', address: '2001:db8:7477::9', port: 4000 },
  { protocol: 'udp', address: '2001:db8:7477::9', port: 4000 },
] as const;

kernelTest('sendCanary() is refused by a fence that stands, and is not where there is none', async (t) => {
  const { scratch, account } = await makeFenceWorld(t);
  const namespace = `/proc/${scratch.pid}/root${workloadNamespacePath}`;
  for (const canary of canaries) t.is(await sendCanary(namespace, canary), 'refused', JSON.stringify(canary));
  t.like(await account.settle(), { deniedTcp: 0, deniedUdp: 0, deniedOther: 0, logged: 0, unread: 0, unknown: [] });
  const { family, name } = fenceTable;
  await scratch.run([...inWorkloadNamespace, 'nft', 'delete', 'table', family, name] as unknown as Argv);
  for (const canary of canaries) t.is(await sendCanary(namespace, canary), 'not-refused', JSON.stringify(canary));
});

kernelTest('Canaries.round() tells the mark of a cgroup that the fence knows, and 0 of any other', async (t) => {
  const { account, canaries: watch, cgroups, facts } = await makeFenceWorld(t);
  t.like(await watch.round(cgroups.folderOf(2)), { broken: null, mark: 2 });
  t.like(await watch.round(cgroups.folderOf('unmarked')), { broken: null, mark: 0 });
  t.like(await watch.round('/sys/fs/cgroup/tapwarden-no-such'), { broken: null, mark: 0 });
  t.like(await account.settle(), { deniedUdp: 0, unknown: [] });
  t.deepEqual(facts, []);
});

kernelTest('Canaries takes no line of a workload for its own, wherever it sends to', async (t) => {
  const { account, facts, as } = await makeFenceWorld(t);
  const script = `use Socket; socket(my $s, AF_INET, SOCK_DGRAM, 0) or die;
    send($s, 'x', 0, pack_sockaddr_in(9, inet_aton('203.0.113.9')));`;
  await as(1, '/usr/bin/setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', 'perl', '-e', script);
  t.like(await account.settle(), { deniedUdp: 1, logged: 1, unknown: [] });
  t.like(facts, [{ kind: 'denied-packet', destination: '203.0.113.9', mark: 1, uid: 65_534 }]);
});

kernelTest('Canaries.round() finds nothing broken in a fence that stands, under a flood too', async (t) => {
  const { account, canaries: watch, facts, as } = await makeFenceWorld(t);
  t.deepEqual(await watch.round(), { broken: null, packet: null, detail: '', mark: 0 });
  t.deepEqual(facts, []);
  const flood = as(1, 'perl', resolve('supervisor/testdata/flood.pl'), '30000', '500');
  for (let round = 0; round < 3; round += 1) t.is((await watch.round()).broken, null);
  await flood;
  t.like(await account.settle(), { unknown: [], overflow: 0 });
  t.deepEqual(
    facts.filter((fact) => fact.kind === 'denied-packet' && fact.destination.startsWith('203.')),
    [],
  );
});

const { family, name } = fenceTable;
const inNft = (...words: readonly string[]): Argv => [...inWorkloadNamespace, 'nft', ...words] as unknown as Argv;
const breaks: readonly (readonly [string, Argv, object])[] = [
  ['a fence that was deleted', inNft('delete', 'table', family, name), { broken: 'refused', packet: 'tcp4' }],
  [
    'an accept that was slipped in for IPv6 datagrams',
    inNft('insert', 'rule', family, name, 'output', 'meta', 'nfproto', 'ipv6', 'meta', 'l4proto', '17', 'accept'),
    { broken: 'refused', packet: 'udp6', detail: 'a UDP datagram over IPv6 was not refused' },
  ],
  ['a log rule that is gone', inNft('flush', 'chain', family, name, 'tell'), { broken: 'logged', packet: 'tcp4' }],
  ['a namespace that is gone', ['umount', workloadNamespacePath], { broken: 'sent', packet: null }],
];
for (const [what, command, result] of breaks) {
  kernelTest(`Canaries.round() names the link: ${what}`, async (t) => {
    const { scratch, canaries: watch } = await makeFenceWorld(t);
    t.is((await watch.round()).broken, null);
    await scratch.run(command);
    t.like(await watch.round(), result);
  });
}

kernelTest('Canaries.round() names the link: a kernel that does not log for other namespaces any more', async (t) => {
  const { canaries: watch } = await makeFenceWorld(t);
  await setLogSwitch('0');
  t.like(await watch.round(), { broken: 'logged' });
});

kernelTest('Canaries.round() of a fence without log lines tries the refusal alone', async (t) => {
  const { scratch, canaries: watch } = await makeFenceWorld(t, { log: false });
  t.like(await watch.round(), { broken: null, mark: null });
  await scratch.run(inNft('delete', 'table', family, name));
  t.is((await watch.round()).broken, 'refused');
});
