import { readFile } from 'node:fs/promises';
import test from 'ava';
import { isTapwardenError, type Run, run, start, TapwardenError } from '../base/index.ts';
import type { DeniedPacketFact, Fact } from '../channel/index.ts';
import { makeExecCgroups } from '../e2e/support/exec-cgroups.ts';
import { matchesGolden } from '../e2e/support/golden.ts';
import { kernelTest } from '../e2e/support/kernel-tier.ts';
import { readLogSwitch, setLogSwitch } from '../e2e/support/log-switch.ts';
import { makeScratchNamespace, type ScratchNamespace } from '../e2e/support/scratch-namespace.ts';
import { expectLoaded } from '../e2e/support/table-structure.ts';
import {
  applyChains,
  applyRulesetOver,
  type DirectDestination,
  makeLogTag,
  readCounters,
  removeSets,
} from '../nft/index.ts';
import { workloadNet } from './addresses.ts';
import {
  accountSetNames,
  type ExecMarks,
  type FenceSpec,
  fenceCounters,
  fenceRuleset,
  generationChains,
} from './fence.ts';
import { inWorkloadNamespace, loadFence } from './fence-loader.ts';
import { fenceTable } from './fence-table.ts';
import { guestRuleset, guestTable } from './guest-table.ts';
import { Monitor } from './monitor.ts';
import { namespaceSetup, openWorkloadNamespace } from './workload-namespace.ts';

/** The tag in the corpus. The tests take fresh ones, since the log still has the lines of earlier runs. */
const corpusTag = 'corpus22corpus22';
const direct: readonly DirectDestination[] = [
  { rule: 'ntp', protocol: 17, cidr: '192.0.2.10/32', ports: [123, 123] },
  { rule: 'mirror', protocol: 6, cidr: '2001:db8::/64', ports: [8000, 8010] },
  { rule: 'ping', protocol: 1, cidr: '198.51.100.0/24', ports: null },
];

let sender = '';
let found: string | undefined;
let scratch: ScratchNamespace;

test.before(async () => {
  sender = await readFile('supervisor/testdata/send.pl', 'utf8');
  found = await readLogSwitch();
});
// One that was killed before it could put the switch back must not look like what was found.
test.after.always(async () => {
  if (found !== undefined && process.geteuid?.() === 0) await setLogSwitch(found);
});
test.beforeEach(async () => {
  if (process.geteuid?.() === 0) scratch = await makeScratchNamespace();
});
test.afterEach.always(async () => await scratch?.close());

const noExecs: ExecMarks = { level: 2, cgroups: [] };

/** The supervisor's own steps, in namespaces of this test. */
async function makeFence(tag: string, execs = noExecs): Promise<boolean> {
  await scratch.run(['sh', '-euc', namespaceSetup.script], { env: namespaceSetup.env });
  const { log } = await loadFence(scratch.run, { tag, direct: [], allowUnlogged: false, execs });
  await openWorkloadNamespace(scratch.run);
  return log;
}

const inWorkload: Run = async (argv, options) => await scratch.run([...inWorkloadNamespace, ...argv], options);

type Attempt = { readonly outcome: string; readonly ms: number };

/** Makes one attempt from the workload's namespace: see testdata/send.pl. Raw sockets need root, the others do not. */
async function attempt(kind: string, address: string, port = 0, mark?: number): Promise<Attempt> {
  const rooted = /^(?:raw|sctp|short|fragment|first)/.test(kind) || mark !== undefined;
  const user = rooted ? [] : ['/usr/bin/setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];
  const words = [kind, address, String(port), ...(mark === undefined ? [] : [String(mark)])];
  const { stdout } = await inWorkload([...user, 'perl', '-', ...words] as unknown as ['perl'], { input: sender });
  const [outcome, ms] = stdout.trim().split(' ');
  return { outcome: outcome ?? '', ms: Number(ms) };
}

async function packets(): Promise<Readonly<Record<string, number>>> {
  const counters = await readCounters({ run: scratch.run, enter: inWorkloadNamespace }, fenceTable);
  return Object.fromEntries([...counters].map(([name, count]) => [name, count.packets]));
}

/** Runs `body` with a monitor of the kernel's log, and returns the packets that it told of; `facts` gets all that it told of. */
async function watched(
  tag: string,
  body: () => Promise<void>,
  facts: Fact[] = [],
): Promise<readonly DeniedPacketFact[]> {
  const monitor = await Monitor.open({ tag, onFact: (fact) => facts.push(fact) });
  try {
    await body();
    await monitor.settle();
  } finally {
    await monitor.stop();
  }
  return facts.filter((fact) => fact.kind === 'denied-packet');
}

const freshTag = (): string => makeLogTag(Buffer.from(Array.from({ length: 16 }, () => Math.random() * 256)));

/** Every kind of attempt: what the program that makes it learns, and the fact that it leaves. */
const attempts: readonly (readonly [string, string, number, number | undefined, string, Partial<DeniedPacketFact>])[] =
  [
    [
      'tcp',
      '198.51.100.1',
      80,
      undefined,
      'ECONNREFUSED',
      { protocol: 6, destinationPort: 80, tcpFlags: 2, uid: 65_534, gid: 65_534 },
    ],
    [
      'tcp',
      '2001:db8::1',
      443,
      undefined,
      'ECONNREFUSED',
      { protocol: 6, destinationPort: 443, tcpFlags: 2, uid: 65_534 },
    ],
    ['tcp', '198.51.100.2', 22, 42, 'ECONNREFUSED', { protocol: 6, destinationPort: 22, mark: null, uid: 0 }],
    ['tcp', '10.200.0.1', 3129, undefined, 'ECONNREFUSED', { protocol: 6, destinationPort: 3129 }],
    ['udp', '198.51.100.1', 53, undefined, 'EPERM', { protocol: 17, destinationPort: 53, length: 33, uid: 65_534 }],
    ['udp', '2001:db8::1', 53, undefined, 'EPERM', { protocol: 17, destinationPort: 53, length: 53 }],
    ['udp', '10.200.0.1', 53, 0xffff_ffff, 'EPERM', { protocol: 17, destinationPort: 53, mark: null }],
    ['big', '198.51.100.3', 9, undefined, 'EPERM', { protocol: 17, length: 65_535 }],
    ['big', '2001:db8::3', 9, undefined, 'EPERM', { protocol: 17, length: 65_575 }],
    ['udplite', '198.51.100.1', 53, undefined, 'EPERM', { protocol: 136, destinationPort: 53 }],
    ['udplite', '2001:db8::1', 53, undefined, 'EPERM', { protocol: 136, destinationPort: 53 }],
    ['ping', '198.51.100.1', 0, undefined, 'EPERM', { protocol: 1, destinationPort: null, icmp: { type: 8, code: 0 } }],
    // The kernel keeps the error of an ICMPv6 echo from the program.
    ['ping', '2001:db8::1', 0, undefined, 'ok', { protocol: 58, destinationPort: null, icmp: { type: 128, code: 0 } }],
    ['sctp', '198.51.100.1', 36_412, undefined, 'EPERM', { protocol: 132, destinationPort: null }],
    ['sctp', '2001:db8::1', 36_412, undefined, 'EPERM', { protocol: 132, destinationPort: null }],
    ['short-sctp', '198.51.100.4', 0, undefined, 'EPERM', { protocol: 132, length: 21 }],
    [
      'short-tcp',
      '198.51.100.4',
      80,
      undefined,
      'EPERM',
      { protocol: 6, destinationPort: null, tcpFlags: null, uid: null },
    ],
    ['fragment', '198.51.100.5', 0, undefined, 'EPERM', { protocol: 17, destinationPort: null }],
    ['first-fragment', '198.51.100.5', 77, undefined, 'EPERM', { protocol: 17, destinationPort: 77 }],
    ['fragment', '2001:db8::5', 0, undefined, 'EPERM', { protocol: 17, destinationPort: null }],
    ['first-fragment', '2001:db8::5', 77, undefined, 'EPERM', { protocol: 17, destinationPort: 77 }],
    ['raw253', '198.51.100.1', 0, undefined, 'EPERM', { protocol: 253, length: 20 }],
    ['raw253', '2001:db8::1', 7, undefined, 'EPERM', { protocol: 253, length: 44 }],
    ['raw51', '198.51.100.1', 0, undefined, 'EPERM', { protocol: 51 }],
    ['raw33', '198.51.100.1', 7, undefined, 'EPERM', { protocol: 33 }],
  ];

kernelTest('fenceRuleset() refuses every kind of packet at once, counts each and tells of each', async (t) => {
  await setLogSwitch('1');
  const tag = freshTag();
  t.true(await makeFence(tag));
  const facts = await watched(tag, async () => {
    for (const [kind, address, port, mark, outcome] of attempts) {
      const result = await attempt(kind, address, port, mark);
      t.is(result.outcome, outcome, `${kind} ${address}`);
      t.true(result.ms < 100, `${kind} ${address} took ${result.ms} ms`);
    }
  });
  const told = facts.map(({ destination, ...fact }, index) => {
    const wanted = attempts[index]?.[5] ?? {};
    return { destination, ...Object.fromEntries(Object.keys(wanted).map((key) => [key, fact[key as 'uid']])) };
  });
  t.deepEqual(
    told,
    attempts.map(([, destination, , , , wanted]) => ({ destination, ...wanted })),
  );
  for (const fact of facts) t.is(fact.interfaceOut, workloadNet.workloadLink);
  const counts = await packets();
  t.like(counts, { denied: attempts.length, logged: attempts.length, unlogged: 0, allowed: 0, direct: 0 });
  t.is((counts['denied_tcp'] ?? 0) + (counts['denied_udp'] ?? 0) + (counts['denied_other'] ?? 0), attempts.length);
  if (process.env['UPDATE_GOLDEN'] === '1') {
    const log = await run(['timeout', '1', 'cat', '/dev/kmsg'], { okStatuses: [124] });
    const lines = log.stdout.split('\n').filter((line) => line.includes(`;TW1 ${tag} `));
    t.is(lines.length, attempts.length);
    matchesGolden(t, 'supervisor/testdata/netfilter.log', `${lines.join('\n').replaceAll(tag, corpusTag)}\n`);
  }
});

kernelTest('fenceRuleset() lets the proxy port pass, and the guest table nothing else of the supervisor', async (t) => {
  await setLogSwitch('1');
  await makeFence(freshTag());
  const script = `for (const port of [${workloadNet.proxyPort}, 8080]) require('node:net')
    .createServer((socket) => socket.end()).listen(port, '0.0.0.0', () => console.log(port));`;
  const server = start([...scratch.enter, process.execPath, '-e', script] as unknown as ['node'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.teardown(() => server.process.kill('SIGKILL'));
  await new Promise((resolve) => server.process.stdout?.once('data', resolve));
  t.is((await attempt('tcp', workloadNet.supervisorIp4, workloadNet.proxyPort)).outcome, 'ok');
  t.is((await attempt('tcp', workloadNet.supervisorIp4, 8080)).outcome, 'ECONNREFUSED');
  t.is((await attempt('tcp', '127.0.0.1', workloadNet.proxyPort)).outcome, 'ECONNREFUSED');
  t.true(((await packets())['allowed'] ?? 0) > 2);
  t.is((await packets())['denied'], 1);
  // With the fence gone, the guest's own table still holds.
  await inWorkload(['nft', 'delete', 'table', fenceTable.family, fenceTable.name]);
  const late = inWorkload(['timeout', '1', 'perl', '-', 'tcp', workloadNet.supervisorIp4, '8080'], { input: sender });
  await t.throwsAsync(late, { code: 'COMMAND_FAILED' });
  const guest = await readCounters({ run: scratch.run }, guestTable);
  t.true((guest.get('denied_input')?.packets ?? 0) > 0);
  t.is((await attempt('tcp', workloadNet.supervisorIp4, workloadNet.proxyPort)).outcome, 'ok');
  server.process.kill('SIGKILL');
  await server.ended;
});

kernelTest(
  'fenceRuleset() refuses 200 connects at once within 2 s, and a flood is logged within limits and counted whole',
  async (t) => {
    await setLogSwitch('1');
    const tag = freshTag();
    await makeFence(tag);
    const connects = `
    const { connect } = require('node:net');
    const begun = Date.now();
    const one = (i) => new Promise((resolve) => connect(1000 + i, i % 2 ? '198.51.100.1' : '2001:db8::1')
      .on('error', (error) => resolve(error.code)).on('connect', () => resolve('connected')));
    Promise.all(Array.from({ length: 200 }, (_, i) => one(i))).then((codes) =>
      console.log(JSON.stringify({ codes: [...new Set(codes)], ms: Date.now() - begun })));`;
    const flood = `use Socket; socket($s, AF_INET, SOCK_DGRAM, 0) or die; my $to = pack_sockaddr_in(9, inet_aton('198.51.100.9'));
    send($s, 'x', 0, $to) for 1 .. 5000;`;
    const told: Fact[] = [];
    const flooded = async () => {
      const { stdout } = await inWorkload([process.execPath, '-e', connects]);
      const { codes, ms } = JSON.parse(stdout) as { codes: readonly string[]; ms: number };
      t.deepEqual(codes, ['ECONNREFUSED']);
      t.true(ms < 2000, `${ms} ms`);
      t.like(await packets(), { denied: 200, denied_tcp: 200, logged: 200, unlogged: 0 });
      await inWorkload(['perl', '-e', flood]);
      // A flood on one target does not hide another.
      await attempt('udp', '198.51.100.10', 9);
    };
    const facts = await watched(tag, flooded, told);
    const counts = await packets();
    t.like(counts, { denied: 5201, denied_tcp: 200, denied_udp: 5001, denied_other: 0 });
    t.is((counts['logged'] ?? 0) + (counts['unlogged'] ?? 0), 5201);
    // The log of a host is small, and its reader may fall behind on a busy one: what is missing then shows.
    const missing = told.reduce((sum, fact) => sum + (fact.kind === 'gap' ? fact.missing : 0), 0);
    if (missing === 0) t.is(facts.length, counts['logged'] ?? -1);
    else
      t.true(facts.length + missing >= (counts['logged'] ?? 0), `${facts.length} lines and ${missing} missing records`);
    t.true((counts['unlogged'] ?? 0) > 2000, 'the flood met its limit');
    t.is(facts.at(-1)?.destination, '198.51.100.10');
  },
);

kernelTest('fenceRuleset() refuses without a line where the kernel does not log for other namespaces', async (t) => {
  await setLogSwitch('1');
  const tag = freshTag();
  await makeFence(tag);
  await setLogSwitch('0');
  const facts = await watched(tag, async () => {
    t.is((await attempt('tcp', '198.51.100.1', 80)).outcome, 'ECONNREFUSED');
  });
  t.deepEqual(facts, []);
  t.like(await packets(), { denied: 1, logged: 1 });
});

kernelTest(
  'loadFence() fails with LOG_UNAVAILABLE where the kernel does not log, or loads a fence that counts',
  async (t) => {
    await setLogSwitch('0');
    await scratch.run(['sh', '-euc', namespaceSetup.script], { env: namespaceSetup.env });
    const options = { tag: freshTag(), direct: [], allowUnlogged: false, execs: noExecs };
    await t.throwsAsync(loadFence(scratch.run, options), {
      code: 'LOG_UNAVAILABLE',
      message: /nf_log_all_netns is not 1/,
    });
    t.deepEqual(await loadFence(scratch.run, { ...options, allowUnlogged: true }), {
      log: false,
      account: true,
      execs: noExecs,
    });
    await openWorkloadNamespace(scratch.run);
    t.is((await attempt('tcp', '198.51.100.1', 80)).outcome, 'ECONNREFUSED');
    t.is((await attempt('udp', '2001:db8::1', 80)).outcome, 'EPERM');
    t.like(await packets(), { denied: 2, denied_tcp: 1, denied_udp: 1, logged: 0, unlogged: 2 });
  },
);

/** A kernel that lacks what a rule needs: every file that holds `word` is refused. */
const without =
  (word: string): Run =>
  async (argv, options) => {
    const file = argv.at(-1) ?? '';
    const text = file.endsWith('.nft') ? await readFile(file, 'utf8') : '';
    if (!text.includes(word)) return await scratch.run(argv, options);
    const stderr = `${file}:1:1-2: Error: Could not process rule: No such file or directory\n`;
    throw new TapwardenError('COMMAND_FAILED', { message: stderr, details: { argv, status: 1, stderr } });
  };

kernelTest('loadFence() says which features a kernel lacks, and loads nothing less', async (t) => {
  await setLogSwitch('1');
  await scratch.run(['sh', '-euc', namespaceSetup.script], { env: namespaceSetup.env });
  const options = { tag: freshTag(), direct: [], allowUnlogged: false, execs: noExecs };
  await t.throwsAsync(loadFence(without('log prefix'), options), {
    code: 'LOG_UNAVAILABLE',
    message: /refuses log rules/,
  });
  for (const [word, feature] of [
    ['tcp reset', 'rejectReset'],
    ['icmpx', 'rejectIcmp'],
    ['ct state', 'conntrack'],
  ]) {
    const error = await t.throwsAsync<TapwardenError>(
      loadFence(without(word ?? ''), { ...options, allowUnlogged: true }),
      { code: 'NFT_FEATURE_MISSING' },
    );
    t.deepEqual(error?.details['missing'], [feature]);
  }
  const able = { log: false, account: true, execs: noExecs };
  t.deepEqual(await loadFence(without('log prefix'), { ...options, allowUnlogged: true }), able);
  t.deepEqual(await loadFence(without('cgroupv2'), options), { ...able, log: true, execs: undefined });
  t.deepEqual(await loadFence(without('dynamic'), { ...options, allowUnlogged: true }), { ...able, account: false });
  // What is refused though no feature is missing stays what nft said.
  await t.throwsAsync(loadFence(without('counter name denied_other'), options), { code: 'NFT_REJECTED' });
});

kernelTest(
  'fenceRuleset() and guestRuleset() are loaded as they are: chains, hooks, sets, counters and comments',
  async (t) => {
    await scratch.run(['ip', 'netns', 'add', workloadNet.namespace]);
    const target = { run: scratch.run, enter: inWorkloadNamespace };
    const cgroups = await makeExecCgroups(2);
    t.teardown(async () => await cgroups.close());
    const spec: FenceSpec = {
      tag: freshTag(),
      log: false,
      account: false,
      execs: undefined,
      generation: 'a',
      direct: [],
    };
    await expectLoaded(t, target, fenceRuleset(spec));
    await expectLoaded(t, target, fenceRuleset({ ...spec, account: true }));
    await expectLoaded(t, target, fenceRuleset({ ...spec, log: true, account: true, execs: cgroups.marks, direct }));
    await expectLoaded(t, { run: scratch.run }, guestRuleset(direct));
    await expectLoaded(t, { run: scratch.run }, guestRuleset([]));
    t.deepEqual(Object.keys(await packets()).toSorted(), fenceCounters.toSorted());
  },
);

kernelTest('fenceRuleset() admits what a direct rule names, and refuses the port beside it', async (t) => {
  await setLogSwitch('1');
  await scratch.run(['sh', '-euc', namespaceSetup.script], { env: namespaceSetup.env });
  await loadFence(scratch.run, { tag: freshTag(), direct, allowUnlogged: false, execs: noExecs }).catch((error) => {
    // Where this kernel cannot masquerade, the fence itself is still tried.
    if (!isTapwardenError(error, 'NFT_FEATURE_MISSING')) throw error;
  });
  await openWorkloadNamespace(scratch.run);
  t.is((await attempt('udp', '192.0.2.10', 123)).outcome, 'ok');
  t.is((await attempt('udp', '192.0.2.10', 124)).outcome, 'EPERM');
  t.is((await attempt('udp', '192.0.2.11', 123)).outcome, 'EPERM');
  t.is((await attempt('ping', '198.51.100.9')).outcome, 'ok');
  t.is((await attempt('udplite', '192.0.2.10', 123)).outcome, 'EPERM');
  t.like(await packets(), { direct: 2, denied: 3 });
});

kernelTest(
  'fenceRuleset() marks a packet with its exec, by the cgroup of its socket, whatever the program set',
  async (t) => {
    await setLogSwitch('1');
    const tag = freshTag();
    const cgroups = await makeExecCgroups(3);
    t.teardown(async () => await cgroups.close());
    await makeFence(tag, cgroups.marks);
    const send = async (exec: number | undefined, ...words: readonly string[]): Promise<void> => {
      const enter = exec === undefined ? [] : cgroups.enter(exec);
      await scratch.run([...enter, ...inWorkloadNamespace, 'perl', '-', ...words] as unknown as ['sh'], {
        input: sender,
      });
    };
    const facts = await watched(tag, async () => {
      await send(1, 'tcp', '198.51.100.1', '80');
      await send(2, 'udp', '2001:db8::1', '53');
      await send(3, 'raw253', '198.51.100.1');
      await send(2, 'ping', '198.51.100.1');
      await send(undefined, 'udp', '198.51.100.1', '53');
      // A privileged program that claims to be another exec.
      await send(1, 'udp', '198.51.100.1', '53', '2');
      await send(undefined, 'udp', '198.51.100.1', '53', '2');
    });
    t.deepEqual(
      facts.map(({ mark }) => mark),
      [1, 2, 3, 2, null, 1, null],
    );
    t.true(facts[0]?.raw.includes('MARK=0x1'));
  },
);

kernelTest(
  'fenceRuleset() loaded over itself keeps its counts, and another generation of sets goes on counting',
  async (t) => {
    await setLogSwitch('1');
    const tag = freshTag();
    await makeFence(tag);
    const target = { run: scratch.run, enter: inWorkloadNamespace };
    const spec: FenceSpec = { tag, log: true, account: true, execs: noExecs, generation: 'a', direct: [] };
    const elements = async (set: string): Promise<string> =>
      (await inWorkload(['nft', 'list', 'set', fenceTable.family, fenceTable.name, set])).stdout;
    await attempt('udp', '198.51.100.1', 53);
    await applyRulesetOver(target, fenceRuleset(spec));
    await attempt('udp', '198.51.100.1', 53);
    t.like(await packets(), { denied: 2, denied_udp: 2, logged: 2 });
    t.regex(await elements('seen4_a'), /198\.51\.100\.1 \. udp \. 53 counter packets 2 /);
    await applyChains(target, fenceRuleset({ ...spec, generation: 'b' }), generationChains);
    await attempt('udp', '198.51.100.1', 53);
    t.like(await packets(), { denied: 3, over_udp: 0 });
    t.regex(await elements('seen4_a'), /counter packets 2 /);
    t.regex(await elements('seen4_b'), /counter packets 1 /);
    await t.throwsAsync(removeSets(target, fenceTable, accountSetNames('b')), { code: 'NFT_REJECTED' });
    await removeSets(target, fenceTable, accountSetNames('a'));
    await t.throwsAsync(removeSets(target, fenceTable, accountSetNames('a')), { code: 'NFT_NOT_FOUND' });
    t.is((await attempt('tcp', '198.51.100.1', 80)).outcome, 'ECONNREFUSED');
    t.like(await packets(), { denied: 4, over_tcp: 0 });
  },
);
