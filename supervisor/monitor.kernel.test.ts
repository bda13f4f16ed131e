import { readdir, readFile, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';

import type { Fact } from '../channel/index.ts';
import { kernelTest } from '../e2e/support/kernel-tier.ts';
import { readLogSwitch, setLogSwitch } from '../e2e/support/log-switch.ts';
import { makeScratchNamespace, type ScratchNamespace } from '../e2e/support/scratch-namespace.ts';
import { applyRuleset, encodeLogPrefix, makeLogTag } from '../nft/index.ts';
import { Monitor } from './monitor.ts';

let scratch: ScratchNamespace;
let found: string | undefined;
test.before(async () => {
  found = await readLogSwitch();
  if (process.geteuid?.() === 0) scratch = await makeScratchNamespace();
});
test.after.always(async () => {
  await scratch?.close();
  if (found !== undefined && process.geteuid?.() === 0) await setLogSwitch(found);
});

const freshTag = (): string => makeLogTag(Buffer.from(Array.from({ length: 16 }, () => Math.random() * 256)));

/** Sends so many packets that the kernel logs with the tag. */
async function sendLogged(tag: string, count: number): Promise<void> {
  await setLogSwitch('1');
  const rule = { body: `udp dport 9 log prefix "${encodeLogPrefix({ tag })}" level info drop`, comment: 'test' };
  await applyRuleset(
    { run: scratch.run },
    {
      table: { family: 'inet', name: 'logged' },
      counters: [],
      sets: [],
      chains: [{ name: 'o', hook: { type: 'filter', hook: 'output', priority: 0, policy: 'accept' }, rules: [rule] }],
    },
  );
  const script = `use Socket; socket($s, AF_INET, SOCK_DGRAM, 0); send($s, 'x', 0, pack_sockaddr_in(9, inet_aton('127.0.0.1'))) for 1 .. ${count};`;
  await scratch.run(['perl', '-e', script]);
}

/** The readers that this process started: children named cat, with the device open. */
async function readers(): Promise<readonly number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(
    pids.map(async (pid) => {
      const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
      const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
      return status.includes(`\nPPid:\t${process.pid}\n`) && command === 'cat\0/dev/kmsg\0' ? [Number(pid)] : [];
    }),
  );
  return found.flat();
}

const packetsOf = (facts: readonly Fact[]): readonly Fact[] => facts.filter(({ kind }) => kind === 'denied-packet');
const gapsOf = (facts: readonly Fact[]): readonly Fact[] => facts.filter(({ kind }) => kind === 'gap');

kernelTest('Monitor tells of each logged packet once, by the time that settle() is done', async (t) => {
  const tag = freshTag();
  const facts: Fact[] = [];
  const monitor = new Monitor({ tag, onFact: (fact) => facts.push(fact) });
  await sendLogged(tag, 300);
  await monitor.settle();
  t.is(packetsOf(facts).length, 300);
  t.deepEqual(gapsOf(facts), []);
  await monitor.stop();
  t.deepEqual(await readers(), []);
});

kernelTest('Monitor takes nothing that a program writes to the log, be it a perfect line', async (t) => {
  const tag = freshTag();
  const facts: Fact[] = [];
  const monitor = new Monitor({ tag, onFact: (fact) => facts.push(fact) });
  const line = `${encodeLogPrefix({ tag })}IN= OUT=lo SRC=127.0.0.1 DST=127.0.0.1 LEN=29 TOS=0x00 PREC=0x00 TTL=64 ID=1 DF PROTO=UDP SPT=1 DPT=9 LEN=9 `;
  for (const forged of [line, `<6>${line}`, `<0>${line}`, `6,1,1,-;${line}`])
    await writeFile('/dev/kmsg', `${forged}\n`);
  await sendLogged(tag, 1);
  await monitor.settle();
  t.is(packetsOf(facts).length, 1);
  await monitor.stop();
});

kernelTest('Monitor starts another reader when one is killed, and neither misses nor repeats a record', async (t) => {
  const tag = freshTag();
  const facts: Fact[] = [];
  const monitor = new Monitor({ tag, onFact: (fact) => facts.push(fact) });
  await sendLogged(tag, 50);
  await monitor.settle();
  for (let round = 0; round < 3; round += 1) {
    const [pid] = await readers();
    if (pid === undefined) return t.fail('there is no reader');
    process.kill(pid, 'SIGKILL');
    await sendLogged(tag, 50);
    await sleep(50);
  }
  await monitor.settle();
  t.is(packetsOf(facts).length, 200);
  t.is(new Set(packetsOf(facts).map((fact) => (fact.kind === 'denied-packet' ? fact.sequence : 0))).size, 200);
  t.deepEqual(gapsOf(facts), []);
  await monitor.stop();
});

kernelTest('Monitor tells of the records that the kernel overwrote while the reader stood still', async (t) => {
  const tag = freshTag();
  const facts: Fact[] = [];
  const monitor = new Monitor({ tag, onFact: (fact) => facts.push(fact) });
  await monitor.settle();
  const [pid] = await readers();
  if (pid === undefined) return t.fail('there is no reader');
  process.kill(pid, 'SIGSTOP');
  // A line takes some 250 bytes with its header; the ring of this machine is at most a few MiB.
  for (let round = 0; round < 8; round += 1) await sendLogged(tag, 4000);
  process.kill(pid, 'SIGCONT');
  await monitor.settle();
  await monitor.stop();
  const seen = packetsOf(facts).length;
  const missing = gapsOf(facts).reduce((sum, fact) => sum + (fact.kind === 'gap' ? fact.missing : 0), 0);
  if (seen === 32_000) {
    t.log('the ring of this kernel holds 32,000 lines: nothing was overwritten');
    t.is(missing, 0);
    return;
  }
  t.true(missing > 0);
  // Other lines of the machine may be among the missing.
  t.true(seen + missing >= 32_000, `${seen} seen, ${missing} missing`);
});
