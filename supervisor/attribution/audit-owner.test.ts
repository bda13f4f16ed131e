import test from 'ava';
import { startTimeOf } from '../../base/index.ts';
import { keyOfOwner, type Owner, readOwners, restoreSettings } from './audit-owner.ts';
import { sandboxRules } from './audit-rule.ts';
import type { AuditSettings, AuditStatus } from './audit-socket.ts';

const found = { enabled: 0, backlogLimit: 64, backlogWaitTime: 15_000 };
/** No process has this pid: it is above all that a kernel gives away. */
const gone: Owner = { pid: 9_999_999, start: '1', found };
const rulesOf = (owner: Owner) => sandboxRules({ first: 1, last: 2 }, keyOfOwner(owner));

/** A kernel's side of audit, that notes what it is told. */
function kernelWith(rules: readonly Buffer[], status: Partial<AuditStatus> = {}) {
  const told: string[] = [];
  const socket = {
    listRules: async () => rules,
    deleteRule: async () => void told.push('delete'),
    status: async () =>
      ({ pid: 0, enabled: 1, lost: 0, backlogLimit: 8192, backlogWaitTime: 0, ...status }) as AuditStatus,
    set: async (settings: AuditSettings) => void told.push(`set ${JSON.stringify(settings)}`),
  };
  return { socket, told };
}

test('restoreSettings() removes the rules that tell what to restore after that was restored', async (t) => {
  const rules = rulesOf(gone);
  const { socket, told } = kernelWith(rules);
  await restoreSettings(socket, found);
  t.deepEqual(told, [`set ${JSON.stringify(found)}`, ...rules.map(() => 'delete')]);
});

test('restoreSettings() leaves the settings to whoever lives and needs them, or to an auditd', async (t) => {
  const living: Owner = { pid: process.pid, start: (await startTimeOf(process.pid)) ?? '', found };
  const shared = kernelWith([...rulesOf(living), ...rulesOf(gone)]);
  await restoreSettings(shared.socket, found);
  t.deepEqual(
    shared.told,
    rulesOf(gone).map(() => 'delete'),
  );
  for (const status of [{ pid: 812 }, { enabled: 2 }]) {
    const { socket, told } = kernelWith(rulesOf(gone), status);
    await restoreSettings(socket, found);
    t.deepEqual(
      told,
      rulesOf(gone).map(() => 'delete'),
    );
  }
});

test('readOwners() tells those that live from those that are gone, and passes over the rules of others', async (t) => {
  const living: Owner = { pid: process.pid, start: (await startTimeOf(process.pid)) ?? '', found };
  const others = sandboxRules({ first: 1, last: 2 }, 'somebody-else');
  const { socket } = kernelWith([...others, ...rulesOf(living), ...rulesOf(gone)]);
  t.deepEqual(await readOwners(socket), { alive: living, gone, stale: rulesOf(gone) });
  t.deepEqual(await readOwners(socket, process.pid), { alive: undefined, gone, stale: rulesOf(gone) });
});
