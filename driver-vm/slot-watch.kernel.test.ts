import { readFile } from 'node:fs/promises';
import test, { type ExecutionContext } from 'ava';
import { UndoStack } from '../base/index.ts';
import type { droppedByHost } from '../e2e/support/evidence/counters.ts';
import { kernelTest } from '../e2e/support/kernel-tier.ts';
import { makeScratchNamespace, type ScratchNamespace } from '../e2e/support/scratch-namespace.ts';
import { until } from '../e2e/support/until.ts';
import { link } from '../init/index.ts';
import type { DirectDestination } from '../nft/index.ts';
import type { RulesetChange } from '../nft/ruleset-watch.ts';
import { makeSlot, type Slot } from './slot.ts';
import { type SlotDrops, SlotWatch } from './slot-watch.ts';
import { confined } from './vmm.ts';

const uid = 1_899_999_992;
const none = { spoofed: 0, ipv6: 0, denied_input: 0, denied_forward: 0, raw: 0 };
const direct6: readonly DirectDestination[] = [
  { rule: 'mirror', protocol: 6, cidr: '2001:db8::/64', ports: [8000, 8010] },
];

let scratch: ScratchNamespace;
let program = '';
test.before(async () => {
  program = await readFile('driver-vm/testdata/frames.pl', 'utf8');
});
test.beforeEach(async () => {
  if (process.geteuid?.() === 0) scratch = await makeScratchNamespace();
});
test.afterEach.always(async () => await scratch?.close());

type Watched = {
  readonly slot: Slot;
  readonly watch: SlotWatch;
  readonly drops: SlotDrops[];
  readonly changes: RulesetChange[];
  readonly nft: (...words: readonly string[]) => Promise<string>;
};

/** A slot, its watch, and what that told. */
async function watched(t: ExecutionContext, direct: readonly DirectDestination[] = []): Promise<Watched> {
  const undo = new UndoStack();
  const slot = await makeSlot(scratch.run, { id: 'w', vmmUid: uid, direct }, undo);
  const [drops, changes]: [SlotDrops[], RulesetChange[]] = [[], []];
  const watch = await SlotWatch.open({
    ...{ slot, namespaces: `/proc/${scratch.pid}/root/run/netns`, intervalMs: 20 },
    onDrops: (counts) => drops.push(counts),
    onChange: (change) => changes.push(change),
  });
  t.teardown(async () => void (await watch.close()));
  const nft = async (...words: readonly string[]): Promise<string> =>
    (await scratch.run([...slot.enter, 'nft', ...words] as unknown as ['ip'])).stdout;
  return { slot, watch, drops, changes, nft };
}

/** Sends frames into the slot as its machine would. */
async function sendFrames(slot: Slot, ...frames: readonly string[]): Promise<void> {
  const argv = confined({ uid, gid: uid }, ['tun'], ['perl', '-e', program, link.hostInterface, link.hostMac]);
  await scratch.run([...slot.enter, ...argv] as unknown as ['ip'], { input: frames.map((one) => `${one}\n`).join('') });
}

const { guestMac, guestIpv4: guest, hostIpv4: host, gatewayPort } = link;
const honest = [
  `tcp ${guestMac} ${guest} ${host} ${gatewayPort}`,
  `arp ${guestMac} ${guest} ${host}`,
  `icmp6 ${guestMac} :: ff02::2 133`,
  `icmp6 ${guestMac} :: ff02::16 143`,
];

kernelTest('SlotWatch: an honest guest makes the host drop nothing that counts', async (t) => {
  for (const direct of [[], direct6]) {
    const { slot, watch, drops } = await watched(t, direct);
    await sendFrames(slot, ...honest);
    t.deepEqual(await watch.close(), none);
    t.deepEqual(drops, []);
    await scratch.run(['ip', 'netns', 'del', 'tw-w']);
  }
});

/** Frames of a hostile guest, by the counter that each raises. */
const hostile: Readonly<Record<keyof typeof droppedByHost, Readonly<Record<string, string>>>> = {
  spoofed: {
    'IPv4 from another address': `tcp ${guestMac} 10.0.128.9 ${host} ${gatewayPort}`,
    'IPv4 from another MAC': `tcp 02:00:00:00:00:99 ${guest} ${host} ${gatewayPort}`,
  },
  ipv6: { IPv6: `ip6tcp ${guestMac} fe80::1 fe80::2 22` },
  denied_input: { 'IPv4 to another port': `tcp ${guestMac} ${guest} ${host} 22` },
  denied_forward: { 'IPv4 to the world': `udp ${guestMac} ${guest} 198.51.100.1 53` },
  raw: { 'raw Ethernet': `raw ${guestMac} 88b5` },
};
for (const [counter, frames] of Object.entries(hostile)) {
  for (const [name, frame] of Object.entries(frames)) {
    kernelTest(`SlotWatch: ${name} past the fence is told of within 0.1 s`, async (t) => {
      const { slot, watch, drops } = await watched(t);
      await sendFrames(slot, frame, frame);
      await until(() => drops.some((counts) => counts[counter] === 2));
      t.deepEqual(await watch.close(), { ...none, [counter]: 2 });
      t.true(drops.length <= 2, 'no word a packet');
    });
  }
}

kernelTest('SlotWatch: what the world sends, and replies that nobody waits for, are not the guest’s', async (t) => {
  const { slot, watch, nft } = await watched(t, direct6);
  const inside = [...slot.enter, 'sh', '-euc'] as const;
  const script = `
    ip link add up0 type veth peer name world
    ip netns add twx-world
    ip link set world netns twx-world
    ip address add 100.64.0.1/31 dev up0
    ip link set up0 up
    ip -n twx-world address add 100.64.0.0/31 dev world
    ip -n twx-world link set world up
    ip -n twx-world route add ${guest}/32 via 100.64.0.1
    echo 1 >/proc/sys/net/ipv4/ip_forward
    echo hello | ip netns exec twx-world perl -MSocket -e 'socket(S,AF_INET,SOCK_DGRAM,0); send(S,"x",0,pack_sockaddr_in(9,inet_aton($_))) for "100.64.0.1","${guest}"'
  `;
  await scratch.run([...inside, script] as unknown as ['ip']);
  t.regex(await nft('list', 'counter', 'inet', 'tapwarden_tap0', 'inward'), /packets 2 /);
  t.deepEqual(await watch.close(), none);
});

kernelTest('SlotWatch: a changed table is loaded again within 1 s, and counts go on', async (t) => {
  const { slot, watch, drops, changes, nft } = await watched(t);
  await sendFrames(slot, `tcp ${guestMac} ${guest} ${host} 22`);
  await until(() => drops.length === 1);
  // Tables stand in the order in which they were made.
  const listed = async (): Promise<string> =>
    (await nft('-s', 'list', 'ruleset'))
      .split(/(?=^table )/m)
      .toSorted()
      .join('');
  const before = await listed();
  const begun = Date.now();
  await nft('insert rule inet tapwarden_tap0 input accept');
  await until(() => changes.length === 1);
  t.true(Date.now() - begun < 1000);
  t.deepEqual(changes[0]?.difference, ['+ rule inet tapwarden_tap0 input (no comment)']);
  t.is(await listed(), before);
  await nft('delete table netdev tapwarden_tap0');
  await until(() => changes.length === 2);
  await nft('add table ip foreign');
  await until(() => changes.length === 3);
  t.is(await listed(), before);
  await sendFrames(slot, `tcp ${guestMac} ${guest} ${host} 22`, `raw ${guestMac} 88b5`);
  await until(() => (drops.at(-1)?.['raw'] ?? 0) === 1);
  t.deepEqual(await watch.close(), { ...none, denied_input: 2, raw: 1 });
  t.is(changes.length, 3);
});

kernelTest('SlotWatch: counters that somebody sets back are counted on', async (t) => {
  const { slot, watch, drops, nft } = await watched(t);
  await sendFrames(slot, ...Array.from({ length: 3 }, () => `tcp ${guestMac} ${guest} ${host} 22`));
  await until(() => drops.at(-1)?.['denied_input'] === 3);
  await nft('reset', 'counters');
  await watch.read();
  await sendFrames(slot, `tcp ${guestMac} ${guest} ${host} 22`);
  t.deepEqual(await watch.close(), { ...none, denied_input: 4 });
});

kernelTest('SlotWatch: a slot that is gone ends nothing', async (t) => {
  const { watch } = await watched(t);
  await scratch.run(['ip', 'netns', 'del', 'tw-w']);
  t.deepEqual(await watch.close(), none);
  t.deepEqual(await watch.close(), none);
});
