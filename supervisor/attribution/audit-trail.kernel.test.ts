import { fileURLToPath } from 'node:url';
import type { ExecutionContext } from 'ava';
import { type Child, start } from '../../base/index.ts';
import { testIds } from '../../e2e/support/attribution-world.ts';
import { auditTest, keysOf, auditState as look } from '../../e2e/support/audit-state.ts';
import { keyOf } from './audit-rule.ts';
import { AuditSocket } from './audit-socket.ts';
import { AuditTrail, reclaimAudit } from './audit-trail.ts';

const program = fileURLToPath(new URL('../../e2e/support/audit-child.js', import.meta.url));
/** Rules of one user. */
const own = 8;

async function startUser(t: ExecutionContext): Promise<Child> {
  const child = start([process.execPath, program], { stdio: ['pipe', 'pipe', 'inherit'] });
  t.teardown(async () => {
    child.process.kill('SIGKILL');
    await child.ended;
    await reclaimAudit();
  });
  const said = await new Promise<string>((resolve) =>
    child.process.stdout?.once('data', (text) => resolve(String(text))),
  );
  t.is(said, 'open\n');
  return child;
}

auditTest('audit is on with our rules as long as it is used, and then as it was', async (t, found) => {
  const child = await startUser(t);
  const during = await look();
  t.is(during.status.enabled, 1);
  t.is(during.status.pid, found.status.pid, 'nobody became the auditd');
  t.is(keysOf(during, child.process.pid).length, own);
  child.process.stdin?.end();
  await child.ended;
  t.deepEqual(await look(), found);
});

auditTest('of two users the first to leave takes its own rules alone', async (t, found) => {
  const one = await startUser(t);
  const other = await startUser(t);
  one.process.stdin?.end();
  await one.ended;
  const during = await look();
  t.is(during.status.enabled, 1);
  t.is(keysOf(during, one.process.pid).length, 0);
  t.is(keysOf(during, other.process.pid).length, own);
  other.process.stdin?.end();
  await other.ended;
  t.deepEqual(await look(), found);
});

auditTest('what a killed user left behind goes with the next one, or is reclaimed', async (t, found) => {
  const killed = await startUser(t);
  killed.process.kill('SIGKILL');
  await killed.ended;
  const left = await look();
  t.is(left.status.enabled, 1);
  t.is(keysOf(left, killed.process.pid).length, own);
  const next = await startUser(t);
  t.is(keysOf(await look(), killed.process.pid).length, 0);
  next.process.kill('SIGKILL');
  await next.ended;
  await reclaimAudit();
  t.deepEqual(await look(), found);
});

auditTest('rules that somebody removes, and audit that somebody switches off, are said', async (t, found) => {
  const trail = await AuditTrail.open({ ids: testIds, now: () => performance.now(), onEvent: () => undefined });
  if (typeof trail === 'string') return t.fail(trail);
  const socket = new AuditSocket();
  t.teardown(() => socket.close());
  t.deepEqual(await trail.takeLoss(), { missing: 0, overrun: false, disturbed: false });
  const [rule] = (await socket.listRules()).filter((one) => keyOf(one)?.startsWith(`tapwarden.${process.pid}.`));
  if (rule === undefined) return t.fail('there is no rule');
  await socket.deleteRule(rule);
  await new Promise((resolve) => setTimeout(resolve, 50));
  t.true((await trail.takeLoss()).disturbed);
  t.false((await trail.takeLoss()).disturbed);
  await socket.set({ enabled: 0 });
  t.true((await trail.takeLoss()).disturbed);
  await trail.close();
  t.deepEqual(await look(), found);
});

auditTest('whoever is not root is told so', async (t) => {
  const argv = [
    'setpriv',
    '--reuid=65534',
    '--regid=65534',
    '--clear-groups',
    '--bounding-set=-all',
    process.execPath,
    program,
  ];
  const child = start(argv as unknown as ['setpriv'], { stdio: ['pipe', 'pipe', 'inherit'] });
  const said = await new Promise<string>((resolve) =>
    child.process.stdout?.once('data', (text) => resolve(String(text))),
  );
  child.process.stdin?.end();
  await child.ended;
  t.is(said, 'denied\n');
});

auditTest('users that come while others leave switch nothing off, and leave all as it was', async (t, found) => {
  let last = await startUser(t);
  for (let round = 0; round < 5; round += 1) {
    const leaving = last;
    leaving.process.stdin?.end();
    [last] = await Promise.all([startUser(t), leaving.ended]);
    const during = await look();
    t.is(during.status.enabled, 1);
    t.is(during.status.backlogLimit, 8192);
    t.is(keysOf(during, last.process.pid).length, own);
  }
  last.process.stdin?.end();
  await last.ended;
  t.deepEqual(await look(), found);
});
