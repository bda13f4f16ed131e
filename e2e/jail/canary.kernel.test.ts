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

/** The supervisor that a process descends from. */
async function supervisorOf(pid: number): Promise<number> {
  for (let at = pid; at > 1; ) {
    if (/supervisor/.test(await readFile(`/proc/${at}/cmdline`, 'utf8'))) return at;
    at = Number(/^PPid:\t(\d+)$/m.exec(await readFile(`/proc/${at}/status`, 'utf8'))?.[1]);
  }
  throw new Error('there is no supervisor');
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
  'jail: canaries that cannot be sent are a finding within seconds, closed when they arrive again',
  async (t, bench) => {
    const log = join(bench.folder, 'canary.jsonl');
    // A time that no other process sleeps.
    const duration = `30.${process.pid}`;
    const running = bench.start(['--canary', '1', '--events', log, '--', 'sleep', duration]);
    const pid = await pidOfSleep(duration);
    const namespace = '/run/netns/workload';
    const inMounts = ['nsenter', `--target=${await supervisorOf(pid)}`, '--mount'] as const;
    await run([...inMounts, 'umount', '-l', namespace]);
    const [opened, tookMs] = await findingsOf(log, 1);
    t.true(tookMs < 1000 + 5000, `${Math.round(tookMs)} ms`);
    t.like(opened[0], { class_uid: 2004, activity_id: 1, severity_id: 4, unmapped: { canary: { link: 'sent' } } });
    await run([...inMounts, 'mount', '--bind', `/proc/${pid}/ns/net`, namespace]);
    let last: LoggedEvent | undefined;
    for (let look = 0; look < 100 && last?.activity_id !== 3; look += 1) {
      await sleep(50);
      last = withCode(await readEvents(log), 'canary-missed').at(-1);
    }
    t.is(last?.activity_id, 3);
    running.kill('SIGTERM');
    const { result, events } = await running.ended;
    t.false(result?.complete);
    t.regex(result?.incomplete.join('; ') ?? '', /canary: missed \d+ times, first because of the link 'sent'/);
    t.is(result?.denied, 0, 'canaries are no attempts');
    const uids = new Set(withCode(events, 'canary-missed').map(({ finding_info: info }) => info?.uid));
    t.is(uids.size, 1, 'one finding, however many canaries were missed');
  },
);
