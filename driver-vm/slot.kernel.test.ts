import { readFile } from 'node:fs/promises';
import test from 'ava';
import { type Run, TapwardenError, UndoStack } from '../base/index.ts';
import { kernelTest } from '../e2e/support/kernel-tier.ts';
import { makeScratchNamespace, type ScratchNamespace } from '../e2e/support/scratch-namespace.ts';
import { expectLoaded } from '../e2e/support/table-structure.ts';
import { link } from '../init/index.ts';
import { type DirectDestination, readCounters } from '../nft/index.ts';
import { deleteSlot, makeSlot, readSlotDrops, type Slot, slotNamespace } from './slot.ts';
import { framesRuleset, framesTable, slotRuleset, slotTable } from './slot-table.ts';
import { confined } from './vmm.ts';

const uid = 1_899_999_990;
const stranger = 1_899_999_991;
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

const namespaces = async (): Promise<string> => (await scratch.run(['ip', 'netns'])).stdout;

type Link = { readonly flags: readonly string[]; readonly address: string; readonly operstate: string };
async function tapOf(id: string): Promise<Link & { readonly linkinfo: { readonly info_data: unknown } }> {
  const { stdout } = await scratch.run([
    'ip',
    '-n',
    slotNamespace(id),
    '-j',
    '-d',
    'link',
    'show',
    'dev',
    link.hostInterface,
  ]);
  return JSON.parse(stdout)[0];
}

/** Sends frames into the slot as its machine would, as some user. Returns what testdata/frames.pl says. */
async function sendFrames(slot: Slot, user: number, frames: readonly string[]): Promise<string> {
  const argv = confined({ uid: user, gid: user }, ['tun'], ['perl', '-e', program, link.hostInterface, link.hostMac]);
  const inside = [...slot.enter, ...argv] as unknown as ['ip'];
  return (await scratch.run(inside, { input: frames.map((frame) => `${frame}\n`).join('') })).stdout;
}

kernelTest(
  'makeSlot() makes a namespace with the TAP of one user, its table and address, and nothing outside',
  async (t) => {
    const undo = new UndoStack();
    const links = (await scratch.run(['ip', 'link'])).stdout;
    const slot = await makeSlot(scratch.run, { id: 'a', vmmUid: uid, direct: [] }, undo);
    t.is(slot.namespace, 'tw-a');
    t.is((await scratch.run(['ip', 'link'])).stdout, links);
    t.false((await scratch.run(['nft', 'list', 'tables'])).stdout.includes('tapwarden'));
    const tap = await tapOf('a');
    t.is(tap.address, link.hostMac);
    t.true(tap.flags.includes('UP') && tap.flags.includes('NOARP'));
    t.like(tap.linkinfo.info_data, { type: 'tap', user: uid });
    const inside = async (...words: readonly string[]): Promise<string> =>
      (await scratch.run([...slot.enter, ...words] as unknown as ['ip'])).stdout;
    t.regex(await inside('ip', '-4', 'addr', 'show', 'dev', link.hostInterface), /inet 10\.0\.128\.1\/30 /);
    t.is(await inside('ip', '-6', 'addr', 'show', 'dev', link.hostInterface), '');
    t.regex(await inside('ip', 'neighbor'), /10\.0\.128\.2 .*lladdr 02:74:77:00:00:02 PERMANENT/);
    t.is((await inside('cat', '/proc/sys/net/ipv4/ip_forward')).trim(), '0');
    t.is((await inside('ip', 'route')).trim().split('\n').length, 1);
    await undo.unwind();
    t.is(await namespaces(), '');
  },
);

kernelTest('makeSlot() loads the table before the TAP goes up, and takes all away again when that fails', async (t) => {
  const seen: string[] = [];
  const watching: Run = async (argv, options) => {
    if (argv.includes('nft')) seen.push((await tapOf('b')).flags.includes('UP') ? 'up' : 'down');
    return await scratch.run(argv, options);
  };
  const undo = new UndoStack();
  await makeSlot(watching, { id: 'b', vmmUid: uid, direct: [] }, undo);
  t.deepEqual(seen, ['down', 'down']);
  await undo.unwind();
  const failing: Run = async (argv, options) => {
    if (!argv.includes('nft')) return await scratch.run(argv, options);
    throw new TapwardenError('COMMAND_FAILED', { message: 'no', details: { argv, status: 1, stderr: 'Error: no\n' } });
  };
  const late = new UndoStack();
  await t.throwsAsync(makeSlot(failing, { id: 'b', vmmUid: uid, direct: [] }, late), { code: 'NFT_REJECTED' });
  t.false((await tapOf('b')).flags.includes('UP'));
  await late.unwind();
  t.is(await namespaces(), '');
});

kernelTest('makeSlot() fails with SANDBOX_EXISTS, and leaves a namespace that it did not make', async (t) => {
  await scratch.run(['ip', 'netns', 'add', 'tw-c']);
  const undo = new UndoStack();
  await t.throwsAsync(makeSlot(scratch.run, { id: 'c', vmmUid: uid, direct: [] }, undo), {
    code: 'SANDBOX_EXISTS',
    message: /tw-c exists already/,
  });
  await undo.unwind();
  t.is((await namespaces()).trim(), 'tw-c');
});

kernelTest('makeSlot() with a direct rule for IPv6 gives the TAP both addresses', async (t) => {
  const undo = new UndoStack();
  const slot = await makeSlot(scratch.run, { id: 'd', vmmUid: uid, direct: direct6 }, undo);
  const { stdout } = await scratch.run([
    ...slot.enter,
    'ip',
    '-6',
    'addr',
    'show',
    'dev',
    link.hostInterface,
  ] as unknown as ['ip']);
  t.regex(stdout, /inet6 fd74:7761:7264::1\/126/);
  t.notRegex(stdout, /fe80/);
  await undo.unwind();
});

kernelTest('makeSlot(): another user cannot open the TAP, and each frame meets the rule that is for it', async (t) => {
  const undo = new UndoStack();
  const slot = await makeSlot(scratch.run, { id: 'e', vmmUid: uid, direct: [] }, undo);
  t.is(await sendFrames(slot, stranger, []), 'refused 1\n');
  const { guestMac, guestIpv4: guest, hostIpv4: host, gatewayPort } = link;
  const own = [
    `tcp ${guestMac} ${guest} ${host} ${gatewayPort}`,
    `tcp ${guestMac} ${guest} ${host} 22`,
    `udp ${guestMac} ${guest} ${host} ${gatewayPort}`,
    `tcp ${guestMac} 10.0.128.3 ${host} ${gatewayPort}`,
    `tcp 02:00:00:00:00:99 ${guest} ${host} ${gatewayPort}`,
    `tcp ${guestMac} ${guest} 198.51.100.1 80`,
    `udp ${guestMac} ${guest} 255.255.255.255 67`,
    `ip6tcp ${guestMac} fe80::1 fe80::2 22`,
    `ip6tcp ${guestMac} fd74:7761:7264::2 fd74:7761:7264::1 ${gatewayPort}`,
    `icmp6 ${guestMac} fe80::1 ff02::2 133`,
    `icmp6 ${guestMac} fe80::1 ff02::1 128`,
    `arp ${guestMac} ${guest} ${host}`,
    `raw ${guestMac} 88b5`,
  ];
  t.is(await sendFrames(slot, uid, own), `opened\nsent ${own.length}\n`);
  t.deepEqual(await readSlotDrops(scratch.run, slot), {
    ...{ spoofed: 2, ipv6: 3, denied_input: 2, denied_forward: 2, raw: 1 },
  });
  const frames = await readCounters({ run: scratch.run, enter: slot.enter }, framesTable);
  t.is(frames.get('noise')?.packets, 1, 'ARP is no attack');
  const counters = await readCounters({ run: scratch.run, enter: slot.enter }, slotTable);
  t.is(counters.get('gateway')?.packets, 1);
  t.is(counters.get('noise')?.packets, 1);
  // The host learns no neighbour from what the guest says.
  const { stdout } = await scratch.run([...slot.enter, 'ip', 'neighbor'] as unknown as ['ip']);
  t.is(stdout.trim().split('\n').length, 1);
  await undo.unwind();
});

kernelTest('deleteSlot() takes the slot away, with a process still in it, and is content to find none', async (t) => {
  await makeSlot(scratch.run, { id: 'f', vmmUid: uid, direct: [] }, new UndoStack());
  await deleteSlot(scratch.run, 'f');
  t.is(await namespaces(), '');
  await t.notThrowsAsync(deleteSlot(scratch.run, 'f'));
});

kernelTest('readSlotDrops() is empty where there is no slot to read', async (t) => {
  t.deepEqual(
    await readSlotDrops(scratch.run, {
      namespace: 'tw-none',
      path: '/run/netns/tw-none',
      enter: ['ip', 'netns', 'exec', 'tw-none'],
    }),
    {},
  );
});

kernelTest('slotRuleset() is loaded as it is, with and without direct rules', async (t) => {
  await scratch.run(['ip', 'tuntap', 'add', 'dev', link.hostInterface, 'mode', 'tap']);
  await expectLoaded(t, { run: scratch.run }, framesRuleset());
  await expectLoaded(t, { run: scratch.run }, slotRuleset([]));
  await expectLoaded(t, { run: scratch.run }, slotRuleset(direct6));
  const { stdout } = await scratch.run(['nft', 'list', 'table', slotTable.family, slotTable.name]);
  t.regex(stdout, /type filter hook ingress device "tap0" priority -500; policy accept;/);
});
