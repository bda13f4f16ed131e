import type { ExecutionContext } from 'ava';
import { openAttribution } from '../../supervisor/attribution/attribution.ts';
import { keyOf } from '../../supervisor/attribution/audit-rule.ts';
import { AuditSocket, type AuditStatus } from '../../supervisor/attribution/audit-socket.ts';
import { reclaimAudit } from '../../supervisor/attribution/audit-trail.ts';
import { testIds } from './attribution-world.ts';
import { kernelTest } from './kernel-tier.ts';
import { isRequired } from './tier.ts';

/** What the kernel's audit system is set to, but for the records that were lost, and its rules. */
export type AuditState = {
  readonly status: Omit<AuditStatus, 'lost'>;
  /** Keys of rules, of whomever; a rule without a key is none. */
  readonly keys: readonly string[];
};

/** Takes it down. */
export async function auditState(): Promise<AuditState> {
  const socket = new AuditSocket();
  const { lost: _, ...status } = await socket.status();
  const keys = (await socket.listRules()).flatMap((rule) => keyOf(rule) ?? []);
  socket.close();
  return { status, keys };
}

/** The rules of one of ours. */
export const keysOf = ({ keys }: AuditState, pid: number | undefined): readonly string[] =>
  keys.filter((key) => key.startsWith(`tapwarden.${pid}.`));

/** Why the kernel's audit system cannot be used; what killed tests left of it is taken away before. */
export async function whyNoAudit(): Promise<string | undefined> {
  if (process.geteuid?.() !== 0) return 'not root';
  await reclaimAudit();
  const attribution = await openAttribution({ ids: testIds });
  const { obstacle } = attribution;
  await attribution.close();
  return obstacle;
}

/** A test of the kernel tier that needs the kernel's audit system; it says why where that cannot be used. */
export function auditTest(title: string, body: (t: ExecutionContext, before: AuditState) => Promise<void>): void {
  kernelTest(title, async (t) => {
    const obstacle = await whyNoAudit();
    if (obstacle === undefined) return await body(t, await auditState());
    t.log(`skipped: the kernel's audit system cannot be used: ${obstacle}`);
    if (isRequired('audit')) t.fail(obstacle);
    else t.pass();
  });
}
