import { readdir, readFile } from 'node:fs/promises';
import { applyRuleset, encodeLogPrefix } from '../../nft/index.ts';
import { setLogSwitch } from './log-switch.ts';
import type { ScratchNamespace } from './scratch-namespace.ts';

/** Sends so many packets in a namespace of the test that the kernel logs with the tag. */
export async function logPackets(scratch: ScratchNamespace, tag: string, count: number): Promise<void> {
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

/** The readers of the kernel log that this process started: children named cat, of which the first has it as its input. */
export async function logReaders(): Promise<readonly number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(
    pids.map(async (pid) => {
      const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
      const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
      return status.includes(`\nPPid:\t${process.pid}\n`) && /^cat\0(?:\/dev\/kmsg\0)?$/.test(command)
        ? [Number(pid)]
        : [];
    }),
  );
  return found.flat();
}
