import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { run } from '../../base/index.ts';
import { jailTest } from '../support/jail-test.ts';
import { type LoggedEvent, readEvents, withCode } from '../support/record.ts';

/** The pid of `sleep DURATION`; waits for it. */
async function pidOfSleep(duration: string): Promise<number> {
  for (let look = 0; look < 400; look += 1) {
    for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
      const line = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
      if (/^(?:\/\S*\/)?sleep$/.test(line.split('\0')[0] ?? '') && line.endsWith(`sleep\0${duration}\0`)) {
        return Number(pid);
      }
    }
    await sleep(25);
  }
  throw new Error(`'sleep ${duration}' does not run`);
}

/** Looks at a log until it has so many findings, and says how long that took. */
async function findingsOf(log: string, count: number): Promise<readonly [readonly LoggedEvent[], number]> {
  const begun = performance.now();
  for (;;) {
    const findings = withCode(await readEvents(log), 'canary-missed');
    const tookMs = performance.now() - begun;
    if (findings.length >= count || tookMs > 10_000) return [findings, tookMs];
    await sleep(50);
  }
}

jailTest(
  'jail: a fence that lets something out is a finding within seconds, and closed when it is whole',
  async (t, bench) => {
    const log = join(bench.folder, 'canary.jsonl');
    // A time that no other process sleeps.
    const duration = `30.${process.pid}`;
    const running = bench.start(['--canary', '1', '--events', log, '--', 'sleep', duration]);
    const enter = ['nsenter', `--net=/proc/${await pidOfSleep(duration)}/ns/net`] as const;
    const fence = ['inet', 'tapwarden_fence', 'output'] as const;
    const { stdout } = await run([
      ...enter,
      'nft',
      '--echo',
      '--handle',
      'insert',
      'rule',
      ...fence,
      'meta l4proto udp meta nfproto ipv6 accept',
    ]);
    const [opened, tookMs] = await findingsOf(log, 1);
    t.true(tookMs < 1000 + 5000, `${Math.round(tookMs)} ms`);
    t.like(opened[0], {
      class_uid: 2004,
      activity_id: 1,
      severity_id: 4,
      unmapped: { canary: { link: 'refused', packet: 'udp6' } },
    });
    const handle = /# handle (\d+)/.exec(stdout)?.[1] ?? '';
    await run([...enter, 'nft', 'delete', 'rule', ...fence, 'handle', handle]);
    let last: LoggedEvent | undefined;
    for (let look = 0; look < 100 && last?.activity_id !== 3; look += 1) {
      await sleep(50);
      last = withCode(await readEvents(log), 'canary-missed').at(-1);
    }
    t.is(last?.activity_id, 3);
    running.kill('SIGTERM');
    const { result, events } = await running.ended;
    t.false(result?.complete);
    t.regex(result?.incomplete.join('; ') ?? '', /canary: missed \d+ times, first because of the link 'refused'/);
    t.is(result?.denied, 0, 'canaries are no attempts');
    const uids = new Set(withCode(events, 'canary-missed').map(({ finding_info: info }) => info?.uid));
    t.is(uids.size, 1, 'one finding, however many canaries were missed');
  },
);
