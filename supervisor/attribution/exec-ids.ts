import { place } from '../place.ts';
import type { AuditIds } from './audit-rule.ts';

/** Execs are numbered up to this. */
const maxExec = 65_535;
/** No person's session has such an id. */
const firstId = 0x8000_0000;
const jails = 0x4000;

/**
 * The audit session ids of this sandbox's execs: exec number `n` has `first + n`. In a jail they follow from its user, which
 * no other jail has, so that its rules record nobody else.
 */
export const execIds: AuditIds = idsOf(place.jail?.uid ?? 0);

/** The ids that belong to a user of a jail. */
export function idsOf(uid: number): AuditIds {
  const first = firstId + (uid % jails) * (maxExec + 1);
  return { first, last: first + maxExec };
}
