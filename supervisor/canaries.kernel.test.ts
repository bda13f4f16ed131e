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

kernelTest('Canaries.marksExec() is true of a cgroup that the fence knows by its mark, and of no other', async (t) => {
  const { account, canaries: watch, cgroups, facts } = await makeFenceWorld(t);
  t.true(await watch.marksExec(cgroups.folderOf(2), 2));
  t.false(await watch.marksExec(cgroups.folderOf(2), 1));
  t.false(await watch.marksExec(cgroups.folderOf('unmarked'), 1));
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
