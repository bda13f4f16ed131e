import { readdirSync, statSync } from 'node:fs';
import test from 'ava';
import { inNetworkNamespace, type Run, run, TapwardenError } from '../base/index.ts';
import { makeExecCgroups } from '../e2e/support/exec-cgroups.ts';
import { kernelTest } from '../e2e/support/kernel-tier.ts';
import { makeScratchNamespace, type ScratchNamespace } from '../e2e/support/scratch-namespace.ts';
import { type CompiledRuleset, compileRulesets, loadCompiled } from './compiled-ruleset.ts';
import { applyRuleset, type Ruleset } from './index.ts';
import { cgroupMark } from './nfnetlink.ts';
import { NfnetlinkSocket } from './nfnetlink-socket.ts';

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

const table = (name: string) => ({ family: 'inet', name }) as const;
const rulesets: readonly Ruleset[] = [
  {
    table: table('first'),
    counters: ['kept', 'dropped'],
    sets: [{ name: 'named', type: 'inet_service', elements: ['22', '80-90'], flags: ['interval'] }],
    chains: [
      { name: 'other', rules: [{ body: 'counter name dropped drop', comment: 'whoever comes here' }] },
      {
        name: 'input',
        hook: { type: 'filter', hook: 'input', priority: 'filter', policy: 'drop' },
        rules: [
          { body: 'meta l4proto { 6, 17, 132 } counter name kept accept', comment: 'a set without a name' },
          { body: 'tcp dport @named accept', comment: 'a set with a name' },
          { body: 'goto other', comment: 'the others' },
        ],
      },
    ],
  },
  {
    table: table('second'),
    counters: [],
    sets: [{ name: 'marks', type: 'cgroupsv2', data: 'mark', size: 65_535 }],
    chains: [
      {
        name: 'output',
        hook: { type: 'filter', hook: 'output', priority: 'filter', policy: 'drop' },
        rules: [{ body: 'meta mark set socket cgroupv2 level 2 map @marks', comment: 'who it was' }],
      },
    ],
  },
];
const listed = async (): Promise<string> => (await scratch.run(['nft', '-s', 'list', 'ruleset'])).stdout;
/** Descriptors of this process that are namespaces. */
const namespaces = (): number =>
  readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return statSync(`/proc/self/fd/${fd}`).dev === statSync('/proc/self/ns/net').dev;
    } catch {
      return false;
    }
  }).length;

kernelTest('compileRulesets() gives what nft makes of rulesets, and leaves nothing', async (t) => {
  const before = namespaces();
  const compiled = await compileRulesets({ run }, rulesets);
  t.is(namespaces(), before);
  for (const ruleset of rulesets) await applyRuleset(scratch, ruleset);
  const wanted = await listed();
  t.regex(wanted, /set named/);
  await scratch.run(['nft', 'flush', 'ruleset']);
  for (const one of compiled) await loadCompiled(socket, one);
  t.is(await listed(), wanted);
});

kernelTest('loadCompiled() loads nothing that the kernel refuses in part', async (t) => {
  const [first] = (await compileRulesets({ run }, rulesets)) as [CompiledRuleset];
  const missing = { set: 'marks', elements: [cgroupMark(1n, 1)], table: table('first') };
  await t.throwsAsync(loadCompiled(socket, first, missing), { code: 'NFT_REJECTED' });
  t.is(await listed(), '');
});

kernelTest('loadCompiled() gives cgroups their marks, as nft would', async (t) => {
  const cgroups = await makeExecCgroups(2);
  t.teardown(() => cgroups.close());
  const [, second] = (await compileRulesets({ run }, rulesets)) as [CompiledRuleset, CompiledRuleset];
  const elements = [1, 2].map((mark) => cgroupMark(statSync(cgroups.folderOf(mark), { bigint: true }).ino, mark));
  await loadCompiled(socket, second, { set: 'marks', elements, table: table('second') });
  const loaded = await listed();
  for (const { cgroup, mark } of cgroups.marks.cgroups) {
    t.true(loaded.includes(`"${cgroup}" : 0x${mark.toString(16).padStart(8, '0')}`), loaded);
  }
});

kernelTest('compileRulesets() says what nft refused', async (t) => {
  const stderr = 'x.nft:1:1-2: Error: Could not process rule: No such file or directory\n';
  const refusing: Run = async () => {
    throw new TapwardenError('COMMAND_FAILED', { message: stderr, details: { argv: [], status: 1, stderr } });
  };
  await t.throwsAsync(compileRulesets({ run: refusing }, rulesets), { code: 'NFT_REJECTED' });
});
