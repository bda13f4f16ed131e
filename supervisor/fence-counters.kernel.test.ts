import { resolve } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { inNetworkNamespace } from '../base/index.ts';
import { countedInFence } from '../e2e/support/evidence/counters.ts';
import { type FenceWorld, makeFenceWorld } from '../e2e/support/fence-world.ts';
import { kernelTest } from '../e2e/support/kernel-tier.ts';
import { readLogSwitch, setLogSwitch } from '../e2e/support/log-switch.ts';
import { applyRulesetOver, type Ruleset, readCounters } from '../nft/index.ts';
import { NfnetlinkSocket } from '../nft/nfnetlink-socket.ts';
import { workloadNet } from './addresses.ts';
import { sendCanary } from './canary-packet.ts';
import { fenceRuleset } from './fence.ts';
import { inWorkloadNamespace, workloadNamespacePath } from './fence-loader.ts';
import { fenceTable } from './fence-table.ts';

let found: string | undefined;
test.before(async () => {
  found = await readLogSwitch();
});
test.after.always(async () => {
  if (found !== undefined && process.geteuid?.() === 0) await setLogSwitch(found);
});

const sender = resolve('supervisor/testdata/send.pl');

type World = Pick<FenceWorld, 'scratch'> & {
  /** Sends one packet as the first exec: see testdata/send.pl. */
  readonly send: (kind: string, address: string, port?: number) => Promise<void>;
  /** What the fence counted since the world was made, of counters that are not 0. */
  readonly counted: () => Promise<Readonly<Record<string, number>>>;
  /** Packets by element of a set, in the kernel's order. */
  readonly elements: (set: string) => Promise<readonly number[]>;
  /** Loads the fence over the one that stands, changed. */
  readonly load: (
    change: (ruleset: Ruleset) => Ruleset,
    direct?: Parameters<typeof fenceRuleset>[0]['direct'],
  ) => Promise<void>;
  readonly namespace: string;
};

async function makeWorld(t: ExecutionContext): Promise<World> {
  const { scratch, as, cgroups } = await makeFenceWorld(t);
  const target = { run: scratch.run, enter: inWorkloadNamespace };
  const namespace = `/proc/${scratch.pid}/root${workloadNamespacePath}`;
  const read = async (): Promise<Readonly<Record<string, number>>> =>
    Object.fromEntries([...(await readCounters(target, fenceTable))].map(([name, { packets }]) => [name, packets]));
  // What the kernel says by itself when a link comes up.
  const before = await read();
  return {
    scratch,
    namespace,
    send: async (kind, address, port = 0) => await as(1, 'perl', sender, kind, address, String(port)),
    counted: async () =>
      Object.fromEntries(
        Object.entries(await read())
          .map(([name, packets]) => [name, packets - (before[name] ?? 0)] as const)
          .filter(([, packets]) => packets !== 0),
      ),
    elements: async (set) => {
      const socket = await inNetworkNamespace(namespace, () => new NfnetlinkSocket());
      try {
        return [...(await socket.elements(fenceTable, set)).values()].toSorted((a, b) => a - b);
      } finally {
        socket.close();
      }
    },
    load: async (change, direct = []) => {
      const spec = {
        tag: 'countedhere',
        direct,
        log: true,
        account: true,
        execs: cgroups.marks,
        generation: 'a',
      } as const;
      await scratch.run([
        ...inWorkloadNamespace,
        'nft',
        'delete',
        'table',
        fenceTable.family,
        fenceTable.name,
      ] as unknown as ['nft']);
      await applyRulesetOver(target, change(fenceRuleset(spec)));
    },
  };
}

const [there, there6] = ['198.51.100.1', '2001:db8::1'];

/** A test of each row of the table. */
const bodies: Readonly<Record<keyof typeof countedInFence, (t: ExecutionContext, world: World) => Promise<void>>> = {
  all: async (t, { send, counted }) => {
    for (const kind of ['tcp', 'udp', 'udplite', 'ping', 'sctp', 'raw253']) await send(kind, there, 9);
    t.like(await counted(), { denied: 6, logged: 6 });
  },
  kinds: async (t, { send, counted }) => {
    await send('tcp', there, 9);
    for (const [kind, address] of [
      ['udp', there],
      ['udplite', there],
      ['udp', there6],
    ] as const)
      await send(kind, address, 9);
    for (const kind of ['ping', 'sctp', 'raw33', 'raw253', 'fragment', 'short-sctp']) await send(kind, there, 9);
    // The fragment is one of a datagram.
    t.like(await counted(), { denied: 10, denied_tcp: 1, denied_udp: 4, denied_other: 5 });
  },
  ports: async (t, { send, counted, elements }) => {
    for (const port of [9, 9, 10]) await send('udp', there, port);
    await send('tcp', there, 9);
    for (const port of [9, 9]) await send('udp', there6, port);
    t.deepEqual(await elements('seen4_a'), [1, 1, 2]);
    t.deepEqual(await elements('seen6_a'), [2]);
    t.like(await counted(), { denied: 6 });
  },
  portless: async (t, { send, elements }) => {
    for (const kind of ['ping', 'ping', 'raw253']) await send(kind, there);
    await send('ping', there6);
    t.deepEqual(await elements('other4_a'), [1, 2]);
    t.deepEqual(await elements('other6_a'), [1]);
    t.deepEqual(await elements('seen4_a'), []);
  },
  over: async (t, { send, load, counted, elements }) => {
    // Sets of the fence's own form, with room for one element each.
    const isAccount = /^(?:seen|other)/;
    await load((ruleset) => ({
      ...ruleset,
      sets: ruleset.sets.map((set) => (isAccount.test(set.name) ? { ...set, size: 1 } : set)),
    }));
    for (const kind of ['tcp', 'udp', 'udplite', 'raw253']) {
      for (const last of [1, 2, 3]) await send(kind, `198.51.100.${last}`, 9);
    }
    const counts = await counted();
    const [seen, other] = [await elements('seen4_a'), await elements('other4_a')];
    t.is(seen.length, 1);
    t.is(other.length, 1);
    // The first of all has the place with its port, the second that without.
    t.like(counts, { denied: 12, over_tcp: 1, over_udp: 6, over_other: 3 });
    t.is([...seen, ...other].reduce((sum, packets) => sum + packets, 0) + 10, 12);
  },
  lines: async (t, { scratch, counted }) => {
    const flood = `use Socket; socket(my $s, AF_INET, SOCK_DGRAM, 0) or die;
      send($s, 'x', 0, pack_sockaddr_in(9, inet_aton('${there}'))) for 1 .. 1500;`;
    await scratch.run([...inWorkloadNamespace, 'perl', '-e', flood] as unknown as ['perl']);
    const { denied = 0, logged = 0, unlogged = 0 } = await counted();
    t.is(denied, 1500);
    t.is(logged + unlogged, denied);
    t.true(logged >= 64 && unlogged > 0, `${logged} with a line, ${unlogged} without`);
  },
  admitted: async (t, { send, load, counted }) => {
    await load((ruleset) => ruleset, [{ rule: 'ntp', protocol: 17, cidr: `${there}/32`, ports: [123, 123] }]);
    // Nobody listens, or answers: that they were let out is counted.
    await send('tcp', workloadNet.supervisorIp4, workloadNet.proxyPort);
    await send('udp', there, 123);
    await send('udp', there, 124);
    t.like(await counted(), { direct: 1, denied: 1, denied_udp: 1 });
    t.true(((await counted())['allowed'] ?? 0) >= 1);
  },
  noise: async (t, { scratch, counted }) => {
    const solicit = `use Socket qw(:DEFAULT inet_pton pack_sockaddr_in6 AF_INET6); socket(my $s, AF_INET6, SOCK_RAW, 58) or die;
      for my $type (130 .. 136, 143) {
        send($s, pack('C C n N', $type, 0, 0, 0) . "\\0" x 16, 0, pack_sockaddr_in6(0, inet_pton(AF_INET6, '${there6}'))) ;
      }`;
    await scratch.run([...inWorkloadNamespace, 'perl', '-e', solicit] as unknown as ['perl']);
    // The kernel may say something beside.
    const { noise = 0, ...others } = await counted();
    t.true(noise >= 8, `${noise}`);
    t.deepEqual(others, {});
  },
  canary: async (t, { namespace, counted }) => {
    for (const protocol of ['tcp', 'udp'] as const) {
      for (const address of ['203.0.113.9', '2001:db8:7477::9'])
        await sendCanary(namespace, { protocol, address, port: 4000 });
    }
    // The kernel may say something beside.
    const { noise: _, ...others } = await counted();
    t.deepEqual(others, { canary: 4 });
  },
};

for (const [row, { names, counts }] of Object.entries(countedInFence)) {
  kernelTest(`the fence counts in ${names.join(', ')}: ${counts}`, async (t) => {
    await bodies[row as keyof typeof bodies](t, await makeWorld(t));
  });
}
