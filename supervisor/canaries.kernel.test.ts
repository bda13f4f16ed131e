import { readdirSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import test from 'ava';
import type { Argv } from '../base/index.ts';
import type { canaryLinks } from '../e2e/support/evidence/links.ts';
import { type FenceWorld, makeFenceWorld } from '../e2e/support/fence-world.ts';
import { kernelTest } from '../e2e/support/kernel-tier.ts';
import { readLogSwitch, setLogSwitch } from '../e2e/support/log-switch.ts';
import type { CanaryRound } from './canaries.ts';
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

/** One thing that breaks a link, and what a round tells of it. Returns what puts it right again, where a test must. */
type Break = {
  readonly what: string;
  readonly does: (world: FenceWorld) => Promise<(() => void) | undefined>;
  readonly told: Partial<CanaryRound>;
};
const command =
  (argv: Argv): Break['does'] =>
  async ({ scratch }) =>
    void (await scratch.run(argv));
const breaks: Readonly<Record<Exclude<keyof typeof canaryLinks, 'reported'>, readonly Break[]>> = {
  sent: [
    {
      what: 'a namespace that is gone',
      does: command(['umount', workloadNamespacePath]),
      told: { broken: 'sent', packet: null },
    },
  ],
  refused: [
    {
      what: 'a fence that was deleted',
      does: command(inNft('delete', 'table', family, name)),
      told: { broken: 'refused', packet: 'tcp4' },
    },
    {
      what: 'an accept that was slipped in for IPv6 datagrams',
      does: command(
        inNft('insert', 'rule', family, name, 'output', 'meta', 'nfproto', 'ipv6', 'meta', 'l4proto', '17', 'accept'),
      ),
      told: { broken: 'refused', packet: 'udp6', detail: 'a UDP datagram over IPv6 was not refused' },
    },
  ],
  logged: [
    {
      what: 'a log rule that is gone',
      does: command(inNft('flush', 'chain', family, name, 'tell')),
      told: { broken: 'logged', packet: 'tcp4' },
    },
    {
      what: 'a kernel that does not log for other namespaces any more',
      does: async () => void (await setLogSwitch('0')),
      told: { broken: 'logged' },
    },
  ],
  read: [
    {
      what: 'readers of the log that all stand still',
      does: async () => holdReaders(),
      told: { broken: 'read', detail: 'the kernel log could not be read to its end' },
    },
  ],
};

/** Stops each reader before it has read much, until the answer is called. */
function holdReaders(): () => void {
  let over = false;
  const look = (): void => {
    if (over) return;
    for (const pid of ownChildren()) if (commandOf(pid) === 'cat') process.kill(pid, 'SIGSTOP');
    setImmediate(look);
  };
  look();
  return () => {
    over = true;
  };
}

/** The children of this process that live. Quicker than a walk over all of /proc. */
function ownChildren(): readonly number[] {
  return readdirSync('/proc/self/task').flatMap((task) =>
    readIfThere(`/proc/self/task/${task}/children`).split(' ').filter(Boolean).map(Number),
  );
}

const commandOf = (pid: number): string => readIfThere(`/proc/${pid}/comm`).trim();

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

for (const { what, does, told } of Object.values(breaks).flat()) {
  kernelTest(`Canaries.round() names the link: ${what}`, async (t) => {
    const world = await makeFenceWorld(t, { stalledMs: 150 });
    t.is((await world.canaries.round()).broken, null);
    const mend = await does(world);
    t.teardown(() => mend?.());
    t.like(await world.canaries.round(), told);
  });
}

kernelTest('Canaries.round() of a fence without log lines tries the refusal alone', async (t) => {
  const { scratch, canaries: watch } = await makeFenceWorld(t, { log: false });
  t.like(await watch.round(), { broken: null, mark: null });
  await scratch.run(inNft('delete', 'table', family, name));
  t.is((await watch.round()).broken, 'refused');
});
