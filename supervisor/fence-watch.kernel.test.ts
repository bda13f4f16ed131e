import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { dir } from 'tmp-promise';
import { type ExecCgroups, makeExecCgroups } from '../e2e/support/exec-cgroups.ts';
import { kernelTest } from '../e2e/support/kernel-tier.ts';
import { makeScratchNamespace, type ScratchNamespace } from '../e2e/support/scratch-namespace.ts';
import { until } from '../e2e/support/until.ts';
import { applyChains, applyRulesetOver, readCounters, removeSets } from '../nft/index.ts';
import { accountSetNames, type FenceSpec, fenceRuleset, generationChains } from './fence.ts';
import { fenceTable } from './fence-table.ts';
import { FenceWatch, type FenceWatchOptions } from './fence-watch.ts';

let fence: Omit<FenceSpec, 'generation'>;
let scratch: ScratchNamespace;
let cgroups: ExecCgroups;
test.beforeEach(async () => {
  if (process.geteuid?.() !== 0) return;
  scratch = await makeScratchNamespace();
  cgroups = await makeExecCgroups(3);
  // The third comes later.
  const execs = { ...cgroups.marks, cgroups: cgroups.marks.cgroups.slice(0, 2) };
  fence = { tag: 'watched1', direct: [], log: true, account: true, execs };
});
test.afterEach.always(async () => {
  await scratch?.close();
  await cgroups?.close();
});

type Told = Parameters<FenceWatchOptions['onFact']>[0];
type Watched = {
  readonly facts: Told[];
  readonly watch: FenceWatch;
  readonly nft: (text: string) => Promise<void>;
  readonly listed: () => Promise<string>;
  readonly before: string;
  /** Stands in for the kernel's switch, which is the host's. */
  readonly logSwitch: string;
};

async function watched(t: ExecutionContext): Promise<Watched> {
  const target = { run: scratch.run };
  await applyRulesetOver(target, fenceRuleset({ ...fence, generation: 'a' }));
  const folder = await dir({ prefix: 'tapwarden-watch-', unsafeCleanup: true });
  t.teardown(folder.cleanup);
  const logSwitch = join(folder.path, 'switch');
  await writeFile(logSwitch, '1\n');
  const facts: Told[] = [];
  const watch = await FenceWatch.open({
    ...{ namespace: `/proc/${scratch.pid}/ns/net`, withGuestTable: false },
    ...{ withLogSwitch: true, switchPath: logSwitch, switchMs: 50 },
    reload: async (load) => await load('a'),
    onFact: (fact) => facts.push(fact),
  });
  t.teardown(() => watch.close());
  // In any order, as the kernel has them.
  const sorted = (text: string): string => text.split(/,\s+/).toSorted().join(', ');
  const listed = async (): Promise<string> =>
    (await scratch.run(['nft', '-s', 'list', 'ruleset'])).stdout.replace(
      /(map execs \{[^}]*elements = \{ )([^}]*)( \})/,
      (_, head: string, elements: string, tail: string) => head + sorted(elements) + tail,
    );
  const nft = async (text: string): Promise<void> =>
    void (await scratch.run(['nft', '-f', '/dev/stdin'], { input: text }));
  return { facts, watch, nft, listed, before: await listed(), logSwitch };
}

const name = `${fenceTable.family} ${fenceTable.name}`;
const cases: Readonly<Record<string, readonly [text: string, told: RegExp]>> = {
  'a flushed table': [`flush table ${name}`, /^- rule inet tapwarden_fence kinds "TCP"$/],
  'an inserted accept': [`insert rule ${name} output accept`, /^\+ rule inet tapwarden_fence output \(no comment\)$/],
  'a deleted table': [`delete table ${name}`, /^- table inet tapwarden_fence$/],
  'a dormant table': [`table ${name} { flags dormant; }`, /^\+ table inet tapwarden_fence$/],
  'a policy of accept': [`chain ${name} output { policy accept; }`, /^\+ chain inet tapwarden_fence output$/],
  'a map of execs that is emptied': [
    `flush map ${name} execs`,
    /^- element inet tapwarden_fence execs 0x[0-9a-f]{16}$/,
  ],
  'a rule that spares a protocol which the one before did not': [
    // As many elements, in a set that gets the name of the one before.
    `flush chain ${name} kinds; add rule ${name} kinds meta l4proto 6 counter name denied_tcp return comment "TCP"; add rule ${name} kinds meta l4proto { 17, 137 } counter name denied_udp return comment "UDP and UDP-Lite"; add rule ${name} kinds counter name denied_other comment "every other protocol"`,
    /^- element inet tapwarden_fence __set\d+ 0x88$/,
  ],
  'a chain of somebody else in it': [
    `table ${name} { chain early { type filter hook output priority -400; accept; }; }`,
    /^\+ chain inet tapwarden_fence early$/,
  ],
  'a table of somebody else': [
    'table ip other { chain c { type nat hook output priority -100; dnat to 10.200.0.1; }; }',
    /^\+ table ip other$/,
  ],
};
for (const [title, [text, told]] of Object.entries(cases)) {
  kernelTest(`FenceWatch: ${title} is told of, and the fence stands again within 1 s`, async (t) => {
    const { facts, nft, listed, before } = await watched(t);
    const begun = Date.now();
    await nft(text);
    await until(() => facts.length > 0);
    t.true(Date.now() - begun < 1000, `${Date.now() - begun} ms`);
    t.is(facts[0]?.where, 'fence');
    t.true(
      facts[0]?.difference.some((line) => told.test(line)),
      facts[0]?.difference.join('; '),
    );
    t.not(facts[0]?.restoredMs, null, facts[0]?.difference.join('; '));
    t.is(await listed(), before);
    t.is(facts.length, 1);
  });
}

kernelTest('FenceWatch: what was counted is not lost with an inserted rule', async (t) => {
  const { facts, nft } = await watched(t);
  await scratch.run(['sh', '-c', 'ip route add default dev lo; ip link set lo down; ip link set lo up; true']);
  await scratch.run([
    ...[
      'perl',
      '-MSocket',
      '-e',
      'socket(S,AF_INET,SOCK_DGRAM,0); send(S,"x",0,pack_sockaddr_in(9,inet_aton("192.0.2.1"))) for 1..5',
    ],
  ] as unknown as ['perl']);
  const denied = async (): Promise<number | undefined> =>
    (await readCounters({ run: scratch.run }, fenceTable)).get('denied')?.packets;
  const counted = await denied();
  await nft(`insert rule ${name} output accept`);
  await until(() => facts.length > 0);
  t.is(await denied(), counted);
});

kernelTest('FenceWatch: sets that rotate, and elements that are added, are no change', async (t) => {
  const { facts, watch, nft } = await watched(t);
  const target = { run: scratch.run };
  for (const [next, old] of [
    ['b', 'a'],
    ['a', 'b'],
  ] as const) {
    await applyChains(target, fenceRuleset({ ...fence, generation: next }), generationChains);
    await removeSets(target, fenceTable, accountSetNames(old));
  }
  await nft(`add element ${name} limit4_portless { 192.0.2.1 . udp }`);
  await watch.settle();
  t.deepEqual(facts, []);
});

kernelTest('FenceWatch: the mark of a later exec is no change, and is put back with the others', async (t) => {
  const { facts, watch, nft, listed } = await watched(t);
  const [last] = cgroups.marks.cgroups.slice(-1);
  if (last === undefined) return t.fail('there is no third exec');
  await watch.addExec(last);
  await watch.settle();
  t.deepEqual(facts, []);
  const before = await listed();
  await nft(`flush map ${name} execs`);
  await until(() => facts.length > 0);
  t.is(facts[0]?.difference.length, 3, facts[0]?.difference.join('; '));
  t.is(await listed(), before);
});

kernelTest('FenceWatch: the switch of the log is set again, and one that cannot be is said', async (t) => {
  const { facts, logSwitch } = await watched(t);
  await writeFile(logSwitch, '0\n');
  await until(() => facts.length > 0);
  t.like(facts[0], { where: 'log-switch', difference: ['nf_log_all_netns was not 1'], differences: 1 });
  t.is((await readFile(logSwitch, 'utf8')).trim(), '1');
  await rm(logSwitch);
  await until(() => facts.length > 1);
  t.like(facts[1], { where: 'log-switch', restoredMs: null });
  t.regex(facts[1]?.difference[0] ?? '', /^ENOENT/);
  await sleep(200);
  t.is(facts.length, 2, 'it is said once');
});
