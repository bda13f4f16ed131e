import { resolve } from 'node:path';
import test from 'ava';
import type { Argv, Run } from '../base/index.ts';
import type { Fact } from '../channel/index.ts';
import { makeFenceWorld } from '../e2e/support/fence-world.ts';
import { logPackets, logReaders } from '../e2e/support/kernel-log.ts';
import { kernelTest } from '../e2e/support/kernel-tier.ts';
import { readLogSwitch, setLogSwitch } from '../e2e/support/log-switch.ts';
import type { AccountCounts } from './fence-account.ts';
import { inWorkloadNamespace } from './fence-loader.ts';
import { fenceTable } from './fence-table.ts';

const flood = resolve('supervisor/testdata/flood.pl');

let found: string | undefined;
test.before(async () => {
  found = await readLogSwitch();
});
test.after.always(async () => {
  if (found !== undefined && process.geteuid?.() === 0) await setLogSwitch(found);
});

type Sums = Readonly<Record<string, number>>;

/** Packets by `exec destination protocol port`, without the port where it is not known for sure of every packet. */
function sumsOf(facts: readonly Fact[]): Sums {
  const sums: Record<string, number> = {};
  const add = (mark: number, destination: string, protocol: number, port: number | null, packets: number): void => {
    const key = `${mark} ${destination} ${protocol}${protocol === 132 ? '' : ` ${port}`}`;
    sums[key] = (sums[key] ?? 0) + packets;
  };
  for (const fact of facts) {
    if (fact.kind === 'denied-packet') {
      add(fact.mark ?? 0, fact.destination, fact.protocol, fact.destinationPort, 1);
    } else if (fact.kind === 'denied-packets') {
      for (const { mark, destination, protocol, port, packets } of fact.groups)
        add(mark, destination, protocol, port, packets);
    }
  }
  return sums;
}

/** What flood.pl sends, in the form of {@link sumsOf}. */
function sent(exec: number, count: number, ports: number): readonly (readonly [string, number])[] {
  return Array.from({ length: count }, (_, i) => {
    const [kind, port, to] = [i % 8, 1 + (i % ports), `198.51.100.${1 + (i % 3)}`];
    if (kind < 4) return [`${exec} ${to} 17 ${port}`, 1] as const;
    if (kind === 4) return [`${exec} 2001:db8::1 17 ${port}`, 1] as const;
    if (kind === 5) return [`${exec} ${to} 253 null`, 1] as const;
    return kind === 6 ? ([`${exec} ${to} 1 null`, 1] as const) : ([`${exec} ${to} 132`, 1] as const);
  });
}

function total(parts: readonly (readonly [string, number])[]): Sums {
  const sums: Record<string, number> = {};
  for (const [key, packets] of parts) sums[key] = (sums[key] ?? 0) + packets;
  return sums;
}

const deniedOf = (counts: AccountCounts | null): number =>
  counts === null ? -1 : counts.deniedTcp + counts.deniedUdp + counts.deniedOther;
const whole = { overflow: 0, portsFull: false, unread: 0, unknown: [] };
/** Records that the monitor says are missing. The ring of this machine's kernel log may be too small for a flood. */
const gapsOf = (facts: readonly Fact[]): number =>
  facts.reduce((sum, fact) => sum + (fact.kind === 'gap' ? fact.missing : 0), 0);
/** The same counts without unread lines, which the gaps explain. */
const withoutGaps = (counts: AccountCounts | null, facts: readonly Fact[]): AccountCounts | null =>
  counts !== null && counts.unread <= gapsOf(facts) ? { ...counts, unread: 0 } : counts;
const packetsOf = (facts: readonly Fact[]): number =>
  Object.values(sumsOf(facts)).reduce((sum, packets) => sum + packets, 0);

for (const [count, ports] of [
  [1, 1],
  [1000, 1],
  [1000, 500],
  [100_000, 1],
  [100_000, 500],
  [100_000, 30_000],
] as const) {
  kernelTest(`FenceAccount accounts for ${count} packets over ${ports} ports, by exec and destination`, async (t) => {
    const { account, facts, as } = await makeFenceWorld(t);
    // Several senders, at the same time.
    const senders = count === 1 ? [1] : [1, 2, 3];
    const each = Math.floor(count / senders.length);
    const begun = Date.now();
    await Promise.all(senders.map(async (exec) => await as(exec, 'perl', flood, String(each), String(ports))));
    const sentMs = Date.now() - begun;
    const counts = await account.settle();
    const lines = facts.filter(({ kind }) => kind === 'denied-packet').length;
    t.log(
      `${each * senders.length} packets in ${sentMs} ms, ${lines} lines, settled in ${Date.now() - begun - sentMs} ms`,
    );
    t.is(deniedOf(counts), each * senders.length);
    t.like(withoutGaps(counts, facts), { ...whole, overflow: counts?.overflow });
    const wanted = total(senders.flatMap((exec) => sent(exec, each, ports)));
    const told = sumsOf(facts);
    if (counts?.overflow === 0) t.deepEqual(told, wanted);
    else {
      // The kernel found no memory for some elements, and counted their packets by kind: those that have no line of their
      // own are for the host to tell of.
      t.log(`${counts?.overflow} packets are counted by kind`);
      const missing = Object.keys(wanted).map((key) => (wanted[key] ?? 0) - (told[key] ?? 0));
      t.true(missing.every((packets) => packets >= 0) && Object.keys(told).every((key) => key in wanted));
      t.true(missing.reduce((sum, packets) => sum + packets, 0) <= (counts?.overflow ?? 0));
    }
    // Nothing more is told when nothing more is sent.
    const before = facts.length;
    t.is(deniedOf(await account.settle()), each * senders.length);
    t.is(facts.length, before);
  });
}

kernelTest('FenceAccount rotates full sets, and loses and doubles nothing', async (t) => {
  const { account, facts, as, changes } = await makeFenceWorld(t, { rotateAt: 0.001 });
  const rounds = 6;
  for (let round = 0; round < rounds; round += 1) {
    await as(1, 'perl', flood, '8000', '4000');
    await new Promise((done) => setTimeout(done, 700));
  }
  t.true(changes() >= 4, `${changes()} times sets were added, or deleted`);
  const counts = await account.settle();
  t.like(withoutGaps(counts, facts), whole);
  t.is(deniedOf(counts), 8000 * rounds);
  t.deepEqual(sumsOf(facts), total(Array.from({ length: rounds }, () => sent(1, 8000, 4000)).flat()));
});

kernelTest('FenceAccount is exact by kind where the sets are full, and says how many found no place', async (t) => {
  const { account, facts, as } = await makeFenceWorld(t);
  const script = `use Socket; socket(my $s, AF_INET, SOCK_RAW, 253) or die;
    send($s, '', 0, pack_sockaddr_in(0, pack('N', 0xc6120000 + $_))) for 1 .. 20000;`;
  await as(1, 'perl', '-e', script);
  const counts = await account.settle();
  t.is(counts?.deniedOther, 20_000);
  t.true((counts?.overflow ?? 0) >= 20_000 - 16_384, `${counts?.overflow} overflowed`);
  t.deepEqual(counts?.unknown, []);
  const told = packetsOf(facts);
  t.true(told <= 20_000 && told >= 20_000 - (counts?.overflow ?? 0), `${told} are told of`);
  t.true(Object.values(sumsOf(facts)).every((packets) => packets === 1));
});

kernelTest('FenceAccount finds the port of SCTP packets where it is the only one, and guesses none', async (t) => {
  const sender = resolve('supervisor/testdata/send.pl');
  const { account, facts, as } = await makeFenceWorld(t);
  const portsOf = async (...attempts: readonly (readonly string[])[]): Promise<readonly (number | null)[]> => {
    const before = facts.length;
    // Within one reading.
    await as(1, 'sh', '-c', attempts.map((words) => `perl ${sender} ${words.join(' ')}`).join('; '));
    t.like(await account.settle(), whole);
    const told = facts.slice(before);
    t.true(
      told.every(({ kind }) => kind === 'denied-packet'),
      'none is told of in a group',
    );
    return told.flatMap((fact) => (fact.kind === 'denied-packet' ? [fact.destinationPort] : []));
  };
  t.deepEqual(await portsOf(['sctp', '198.51.100.1', '36412']), [36_412]);
  t.deepEqual(await portsOf(['sctp', '2001:db8::1', '36413']), [36_413]);
  t.deepEqual(await portsOf(['raw33', '198.51.100.1', '7']), [7]);
  t.deepEqual(await portsOf(['sctp', '198.51.100.3', '3'], ['sctp', '198.51.100.3', '3']), [3, 3]);
  const both = `use Socket; socket(my $s, AF_INET, SOCK_RAW, 132) or die;
    send($s, pack('n n N N', 40000, $_, 0, 0), 0, pack_sockaddr_in(0, inet_aton('198.51.100.2'))) for 1, 2;`;
  const before = facts.length;
  await as(1, 'perl', '-e', both);
  await account.settle();
  t.deepEqual(
    facts.slice(before).map((fact) => fact.kind === 'denied-packet' && fact.destinationPort),
    [null, null],
  );
  // A packet that ends before its ports is not given those of another; the kernel prints none of a short TCP header.
  t.deepEqual(await portsOf(['short-sctp', '198.51.100.4']), [null]);
  t.deepEqual(await portsOf(['short-tcp', '198.51.100.4', '80']), [80]);
  // Nor does it print a mark of these.
  t.like(facts.at(-1), { mark: 1 });
  t.deepEqual(await portsOf(['raw51', '198.51.100.4']), [null]);
  t.like(facts.at(-1), { mark: 1 });
  t.deepEqual(await portsOf(['fragment', '198.51.100.5'], ['fragment', '2001:db8::5']), [null, null]);
});

kernelTest(
  'FenceAccount tells of packets without a line where the kernel does not log, while the workload runs',
  async (t) => {
    const { account, facts, as } = await makeFenceWorld(t, { log: false });
    await as(2, 'perl', flood, '80', '4');
    for (let waited = 0; waited < 50 && packetsOf(facts) < 80; waited += 1)
      await new Promise((done) => setTimeout(done, 100));
    t.deepEqual(sumsOf(facts), total(sent(2, 80, 4)));
    t.like(await account.settle(), { ...whole, logged: 0, unlogged: 80 });
  },
);

kernelTest('FenceAccount is exact although the kernel overwrote lines before they were read', async (t) => {
  const { account, facts, as, scratch } = await makeFenceWorld(t);
  await as(1, 'perl', flood, '800', '4');
  t.like(await account.settle(), whole);
  const [reader] = await logReaders();
  if (reader === undefined) return t.fail('there is no reader');
  process.kill(reader, 'SIGSTOP');
  await as(2, 'perl', flood, '800', '4');
  // Lines of somebody else, as many as the ring of this machine's kernel holds, and more.
  for (let round = 0; round < 8; round += 1) await logPackets(scratch, 'somebodyelse', 4000);
  // It goes on standing still: another one has to take over.
  const counts = await account.settle();
  t.log(`${gapsOf(facts)} records are missing, ${counts?.unread} lines of the fence among them`);
  t.like(withoutGaps(counts, facts), whole);
  t.is(deniedOf(counts), 1600);
  t.deepEqual(sumsOf(facts), total([...sent(1, 800, 4), ...sent(2, 800, 4)]));
  if (gapsOf(facts) > 0) t.true(facts.some(({ kind }) => kind === 'restart'));
});

kernelTest('FenceAccount reports lines that were logged and not read', async (t) => {
  const { account, facts, as } = await makeFenceWorld(t);
  await as(1, 'perl', flood, '8', '1');
  await setLogSwitch('0');
  await as(1, 'perl', flood, '8', '1');
  const counts = await account.settle();
  t.is(counts?.unread, 8);
  t.is(deniedOf(counts), 16);
  t.is(packetsOf(facts), 16, 'they are told of all the same');
});

kernelTest('FenceAccount reports lines with the prefix of the fence that the fence did not write', async (t) => {
  const { account, facts, as, scratch, tag } = await makeFenceWorld(t);
  await as(1, 'perl', flood, '8', '1');
  t.like(await account.settle(), whole);
  await logPackets(scratch, tag, 3);
  const counts = await account.settle();
  t.is(packetsOf(facts), 11, 'who knows the prefix and is root can make lines');
  t.is(deniedOf(counts), 8);
  t.regex(counts?.unknown.join('; ') ?? '', /^lines were read that the fence did not write, \S+ to \S+$/);
});

const tampers: readonly (readonly [string, RegExp, (run: Run) => Promise<unknown>])[] = [
  [
    'whose table is deleted',
    /does not know table/,
    (run) =>
      run([...inWorkloadNamespace, 'nft', 'delete', 'table', fenceTable.family, fenceTable.name] as unknown as Argv),
  ],
  [
    'whose counters were reset',
    /tells of less than before/,
    (run) => run([...inWorkloadNamespace, 'nft', 'reset', 'counters'] as unknown as Argv),
  ],
  [
    'whose set was flushed',
    /tells of less than before|differ/,
    (run) =>
      run([
        ...inWorkloadNamespace,
        'nft',
        'flush',
        'set',
        fenceTable.family,
        fenceTable.name,
        'seen4_a',
      ] as unknown as Argv),
  ],
];
for (const [what, reason, tamper] of tampers) {
  kernelTest(`FenceAccount reports a span of a fence ${what}`, async (t) => {
    const { account, facts, as, scratch } = await makeFenceWorld(t);
    // More than the log tells of, so that the sets are read.
    await as(1, 'perl', flood, '2000', '1');
    t.like(withoutGaps(await account.settle(), facts), whole);
    await tamper(scratch.run);
    await as(1, 'perl', flood, '1000', '1').catch(() => undefined);
    const counts = await account.settle();
    if (counts !== null) t.regex(counts.unknown.join('; '), reason);
    else t.regex(what, /deleted/);
  });
}
