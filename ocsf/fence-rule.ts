import { checkedInteger } from './check.ts';
import type { EventContext } from './context.ts';
import { present } from './present.ts';
import type { ObjectOf } from './schema/types.ts';

/** How the fence refuses a packet. Source: nft(8), REJECT STATEMENT. */
export type Verdict = 'tcp-reset' | 'icmpx-admin-prohibited' | 'drop';

/** The rule of the fence that refused. `version` is the digest of the ruleset; without it, that of the policy. */
export type FenceRule = {
  readonly name: string;
  readonly comment?: string;
  readonly uid?: string;
  readonly version?: string;
};

/** `status_code` by verdict. */
export const statusCodes: Readonly<Record<Verdict, string>> = {
  'tcp-reset': 'nft:reject-tcp-reset',
  'icmpx-admin-prohibited': 'nft:reject-icmpx-admin-prohibited',
  drop: 'nft:drop',
};

/** OCSF `firewall_rule` of a rule of the fence; without a verdict it counts as a reject. */
export function fenceRuleOf(context: EventContext, rule: FenceRule, verdict?: Verdict): ObjectOf<'firewall_rule'> {
  return present({
    name: rule.name,
    uid: rule.uid,
    desc: rule.comment,
    type: verdict === 'drop' ? 'drop' : 'reject',
    category: 'egress' as const,
    version: rule.version ?? context.policy.version,
  });
}

/** OCSF `actor` of a socket's owner, when the kernel's line names one. */
export function kernelUser(uid: number | undefined, gid: number | undefined): ObjectOf<'actor'> | undefined {
  if (uid === undefined) return undefined;
  return {
    user: present({
      uid: String(checkedInteger(uid, 'uid', 0, 0xffffffff)),
      groups: gid === undefined ? undefined : [{ uid: String(checkedInteger(gid, 'gid', 0, 0xffffffff)) }],
    }),
  };
}
