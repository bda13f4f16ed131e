import { writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';

import type { Fact } from '../channel/index.ts';
import { logPackets, logReaders as readers } from '../e2e/support/kernel-log.ts';
import { kernelTest } from '../e2e/support/kernel-tier.ts';
import { readLogSwitch, setLogSwitch } from '../e2e/support/log-switch.ts';
import { makeScratchNamespace, type ScratchNamespace } from '../e2e/support/scratch-namespace.ts';
import { encodeLogPrefix, makeLogTag } from '../nft/index.ts';
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

const sendLogged = async (tag: string, count: number): Promise<void> => await logPackets(scratch, tag, count);

const packetsOf = (facts: readonly Fact[]): readonly Fact[] => facts.filter(({ kind }) => kind === 'denied-packet');
const restartsOf = (facts: readonly Fact[]): readonly Extract<Fact, { kind: 'restart' }>[] =>
  facts.filter((fact) => fact.kind === 'restart');
const gapsOf = (facts: readonly Fact[]): readonly Fact[] => facts.filter(({ kind }) => kind === 'gap');

kernelTest('Monitor tells of each logged packet once, by the time that settle() is done', async (t) => {
  const tag = freshTag();
  const facts: Fact[] = [];
  const monitor = await Monitor.open({ tag, onFact: (fact) => facts.push(fact) });
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
  const monitor = await Monitor.open({ tag, onFact: (fact) => facts.push(fact) });
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
  const monitor = await Monitor.open({ tag, onFact: (fact) => facts.push(fact) });
  await sendLogged(tag, 50);
  await monitor.settle();
  for (let round = 0; round < 3; round += 1) {
    const [pid] = await readers();
    if (pid === undefined) return t.fail('there is no reader');
    process.kill(pid, 'SIGKILL');
    const killedAt = performance.now();
    while (restartsOf(facts).length === round && performance.now() - killedAt < 5000) await sleep(5);
    t.true(performance.now() - killedAt < 1000, 'it is noticed within 1 s, though nothing is logged');
    await sendLogged(tag, 50);
  }
  await monitor.settle();
  t.is(packetsOf(facts).length, 200);
  t.is(new Set(packetsOf(facts).map((fact) => (fact.kind === 'denied-packet' ? fact.sequence : 0))).size, 200);
  t.deepEqual(gapsOf(facts), []);
  t.is(restartsOf(facts).length, 3);
  for (const fact of restartsOf(facts)) t.is(fact.next, fact.last + 1, 'no record is missing');
  await monitor.stop();
});

kernelTest('Monitor tells of the records that the kernel overwrote while the reader stood still', async (t) => {
  const tag = freshTag();
  const facts: Fact[] = [];
  const monitor = await Monitor.open({ tag, onFact: (fact) => facts.push(fact) });
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
  t.true(restartsOf(facts).length > 0, 'an overrun ends the reader, which is told of too');
  // Other lines of the machine may be among the missing.
  t.true(seen + missing >= 32_000, `${seen} seen, ${missing} missing`);
});

kernelTest('Monitor of a log that is not there says that it cannot be settled', async (t) => {
  const monitor = await Monitor.open({ tag: freshTag(), onFact: () => undefined, device: '/dev/no-such-log' });
  t.false(await monitor.settle());
  await monitor.stop();
  t.deepEqual(await readers(), []);
});
