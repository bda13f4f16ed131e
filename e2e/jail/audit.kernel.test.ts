import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ExecutionContext } from 'ava';
import { AuditSocket } from '../../supervisor/attribution/audit-socket.ts';
import { type AuditState, auditState, whyNoAudit } from '../support/audit-state.ts';
import { jailTest } from '../support/jail-test.ts';
import { withCode } from '../support/record.ts';
import type { Bench } from '../support/sandbox-bench.ts';
import { isRequired } from '../support/tier.ts';
import { until } from '../support/until.ts';

/** What a machine may be set to before, other than what we set it to. */
const former = { enabled: 0, backlogLimit: 1234, backlogWaitTime: 4321 } as const;

/** A jail on a machine whose audit system is set to {@link former}, and put back afterwards. */
function auditJailTest(
  title: string,
  body: (t: ExecutionContext, bench: Bench, before: AuditState) => Promise<void>,
): void {
  jailTest(title, async (t, bench) => {
    const obstacle = await whyNoAudit();
    const { status } = obstacle === undefined ? await auditState() : { status: undefined };
    // Of an auditd nothing is changed, and who else uses the audit system now would be disturbed.
    const reason = obstacle ?? (status?.pid === 0 ? undefined : 'an auditd runs');
    if (status === undefined || reason !== undefined || (await auditState()).keys.length > 0) {
      t.log(`skipped: the machine's audit system cannot be changed: ${reason ?? 'it has rules of others'}`);
      if (isRequired('audit')) t.fail(reason);
      else t.pass();
      return;
    }
    const socket = new AuditSocket();
    const { enabled, backlogLimit, backlogWaitTime } = status;
    await socket.set(former);
    try {
      await body(t, bench, await auditState());
    } finally {
      await socket.set({ enabled, backlogLimit, backlogWaitTime });
      socket.close();
    }
  });
}

/** Makes an attempt, says so, and waits for the end of its input. */
const attempt = '$| = 1; socket S,2,1,6;connect S,pack"SnC4x8",2,4449,198,51,100,7; print "sent\\n"; <STDIN>';

auditJailTest('jail: audit is on while it runs, and afterwards as it was', async (t, bench, before) => {
  t.like(before.status, former);
  const run = bench.start(['--', 'perl', '-e', attempt]);
  await until(() => run.output() === 'sent\n');
  const during = await auditState();
  t.like(during.status, { enabled: 1, backlogLimit: 8192, backlogWaitTime: 0, pid: 0 });
  t.is(during.keys.length, 8);
  run.stdin.end();
  const { events, status } = await run.ended;
  t.is(status, 0);
  t.like(withCode(events, 'egress-denied')[0], { unmapped: { origin: { method: 'audit' } } });
  t.deepEqual(await auditState(), before);
});

auditJailTest('jail: after kill -9 gc puts the audit system back', async (t, bench, before) => {
  const run = bench.start(['--', 'sh', '-c', 'echo up; sleep 60']);
  await until(() => run.output() === 'up\n');
  run.kill('SIGKILL');
  await run.ended;
  await until(async () => !(await ownersAreAlive((await auditState()).keys)));
  const left = await auditState();
  t.is(left.status.enabled, 1);
  t.is(left.keys.length, 8);
  t.is((await bench.tapwarden(['gc'])).status, 0);
  t.deepEqual(await auditState(), before);
});

auditJailTest(
  'jail: of one that was killed the next one takes over what is to be put back',
  async (t, bench, before) => {
    const run = bench.start(['--', 'sh', '-c', 'echo up; sleep 60']);
    await until(() => run.output() === 'up\n');
    run.kill('SIGKILL');
    await run.ended;
    await until(async () => !(await ownersAreAlive((await auditState()).keys)));
    t.is((await bench.run(['--', 'true'])).status, 0);
    t.deepEqual(await auditState(), before);
    await bench.tapwarden(['gc']);
  },
);

auditJailTest(
  'jail: with --no-audit the audit system is left alone, and the exec is named',
  async (t, bench, before) => {
    const run = bench.start(['--no-audit', '--', 'perl', '-e', attempt]);
    await until(() => run.output() === 'sent\n');
    t.deepEqual(await auditState(), before);
    run.stdin.end();
    const { events } = await run.ended;
    const [denied] = withCode(events, 'egress-denied');
    t.like(denied, { unmapped: { origin: { method: 'exec', reason: 'socket-gone' }, exec: { id: '1' } } });
  },
);

/** Whether a process lives that rules are of; a zombie does not. */
async function ownersAreAlive(keys: readonly string[]): Promise<boolean> {
  const pids = new Set(keys.map((key) => key.split('.')[1]));
  const living = (await readdir('/proc')).filter((name) => pids.has(name));
  const states = await Promise.all(
    living.map(async (pid) => await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')),
  );
  await sleep(20);
  return states.some((stat) => stat !== '' && !/\) [ZX] /.test(stat));
}
