import { readFile } from 'node:fs/promises';
import test from 'ava';
import { inNetworkNamespace } from '../base/index.ts';
import { kernelTest } from '../e2e/support/kernel-tier.ts';
import { makeScratchNamespace, type ScratchNamespace } from '../e2e/support/scratch-namespace.ts';
import { NfnetlinkSocket } from './nfnetlink-socket.ts';
import { RulesetReader } from './ruleset-reader.ts';
import { rebuildOf, removalsOf, replayOf } from './ruleset-replay.ts';

let scratch: ScratchNamespace;
let socket: NfnetlinkSocket;
test.beforeEach(async () => {
  if (process.geteuid?.() !== 0) return;
  scratch = await makeScratchNamespace();
  socket = await inNetworkNamespace(`/proc/${scratch.pid}/ns/net`, () => new NfnetlinkSocket());
});
test.afterEach.always(async () => {
  socket?.close();
  await scratch?.close();
});

const nft = async (text: string): Promise<void> =>
  void (await scratch.run(['nft', '-f', '/dev/stdin'], { input: text }));
/** All that stands, its tables and their parts in an order of their own: they stand in the one in which they were made. */
const listed = async (): Promise<readonly string[]> =>
  (await scratch.run(['nft', '-s', 'list', 'ruleset'])).stdout
    .split(/^(?=table )/m)
    .map((table) =>
      table
        .split(/\n\n|(?<=^table .*\{)\n|\n(?=\}$)/m)
        .map((part) => part.trim().split(/\s+/).toSorted().join(' '))
        .toSorted()
        .join('\n'),
    )
    .toSorted();

const goldens = [
  ...['nft/testdata/everything.nft', 'driver-vm/testdata/slot.nft', 'driver-vm/testdata/slot-direct.nft'],
  ...['driver-vm/testdata/slot-frames.nft', 'supervisor/testdata/guest-direct.nft'],
  ...['supervisor/testdata/fence-least.nft', 'driver-vm/direct/testdata/host.nft'],
];
for (const golden of goldens) {
  kernelTest(`${golden}: the kernel takes back what it tells of, as a whole and in part`, async (t) => {
    await scratch.run(['ip', 'link', 'add', 'tap0', 'type', 'veth', 'peer', 'name', 'other']);
    await nft(await readFile(golden, 'utf8'));
    const { parts: wanted } = await new RulesetReader(socket).read();
    const before = await listed();
    t.true(before.length > 0);
    t.deepEqual(replayOf(wanted, wanted), [], 'nothing is to be done where all stands');

    await socket.transact(rebuildOf(wanted));
    t.deepEqual(await listed(), before, 'made anew over what stands');

    await nft('flush ruleset');
    await nft('table ip foreign { chain c { type filter hook output priority 0; }; }');
    const { parts: found } = await new RulesetReader(socket).read();
    for (const removal of removalsOf(wanted, found)) await socket.transact([removal]);
    await socket.transact(rebuildOf(wanted));
    t.deepEqual(await listed(), before, 'made anew where nothing stood');

    for (const { kind, family, table } of wanted.filter((part) => part.kind === 'table')) {
      t.is(kind, 'table');
      await nft(`flush table ${family === 5 ? 'netdev' : 'inet'} ${table}`);
    }
    const { parts: flushed, generation } = await new RulesetReader(socket).read();
    await socket.transact(replayOf(wanted, flushed), generation);
    t.deepEqual(await listed(), before, 'rules came back into their chains');
  });
}

kernelTest('a transaction for a generation that has passed changes nothing', async (t) => {
  await nft('table inet one { chain c { counter; }; }');
  const { parts, generation } = await new RulesetReader(socket).read();
  await nft('flush chain inet one c');
  const before = await listed();
  await t.throwsAsync(socket.transact(rebuildOf(parts), generation), { code: 'NFT_REJECTED' });
  t.deepEqual(await listed(), before);
});
