import { fileURLToPath } from 'node:url';
import { run } from '../../base/index.ts';
import { makeAttributionWorld } from '../../e2e/support/attribution-world.ts';
import { auditState, keysOf, whyNoAudit } from '../../e2e/support/audit-state.ts';
import { startAuditd } from '../../e2e/support/auditd.ts';
import { peerTest } from '../../e2e/support/peer.ts';
import { isRequired } from '../../e2e/support/tier.ts';
import { until } from '../../e2e/support/until.ts';
import { AuditSocket } from './audit-socket.ts';

const script = fileURLToPath(new URL('../../../supervisor/testdata/attempt.pl', import.meta.url));
/** A user whom nobody else is, with a rule of somebody else's. */
const theirUid = '71090';
const theirRule = ['always,exit', '-F', 'arch=b64', '-S', 'connect', '-F', `uid=${theirUid}`, '-k', 'rule-of-another'];

peerTest(
  ['auditd', 'auditctl'],
  'an auditd stays what it is, keeps its rules and settings, and both get records',
  async (t) => {
    const obstacle = await whyNoAudit();
    const before = await auditState();
    const reason = obstacle ?? (before.status.pid === 0 ? undefined : 'another auditd runs');
    if (reason !== undefined) {
      t.log(`skipped: ${reason}`);
      if (isRequired('audit')) t.fail(reason);
      else t.pass();
      return;
    }
    const { enabled, backlogLimit, backlogWaitTime } = before.status;
    t.teardown(async () => {
      // As auditd leaves it switched on.
      const socket = new AuditSocket();
      await socket.set({ enabled, backlogLimit, backlogWaitTime });
      socket.close();
    });
    const auditd = await startAuditd(t);
    await run(['auditctl', '-b', '777']);
    await run(['auditctl', '-a', ...theirRule]);
    t.teardown(async () => void (await run(['auditctl', '-d', ...theirRule])));
    const without = await auditState();
    t.like(without.status, { enabled: 1, pid: auditd.pid, backlogLimit: 777 });

    const world = await makeAttributionWorld();
    try {
      t.is(world.attribution.obstacle, undefined);
      const during = await auditState();
      t.deepEqual(during.status, without.status, 'nothing of it is changed');
      t.is(keysOf(during, process.pid).length, 8);
      t.true(during.keys.includes('rule-of-another'));
      const { pid } = await world.run(1, ['perl', script, 'sendto', '198.51.100.31', '4500']);
      const [one] = await world.settle();
      t.like(one?.origin, { method: 'audit', confidence: 'high', process: { pid } });
      // By their rule, of a process that is none of ours.
      await run(['setpriv', `--reuid=${theirUid}`, '--clear-groups', 'perl', script, 'tcp', '127.0.0.1', '9']);
      for (const expected of [
        new RegExp(`type=SYSCALL .* syscall=44 success=no .* pid=${pid} .* key="tapwarden\\.${process.pid}\\.`),
        new RegExp(`type=SYSCALL .* syscall=42 .* uid=${theirUid} .* key="rule-of-another"`),
      ]) {
        await until(async () => expected.test(await auditd.log()));
        t.true(expected.test(await auditd.log()), String(expected));
      }
      t.deepEqual(await world.attribution.takeLoss(), { missing: 0, overrun: false, disturbed: false });
    } finally {
      await world.close();
    }
    t.deepEqual(await auditState(), without);
  },
);
