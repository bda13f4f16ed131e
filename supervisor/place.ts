import { env } from 'node:process';
import { guestPaths, link, workloadUser } from '../init/contract.ts';
import { type JailPlan, jailVariable, parseJailPlan } from '../init/jail-plan.ts';

/** Where the supervisor stands: in a guest of its own, or on the host in a jail. The same program does both. */
export type Place = {
  /** What the driver said of the jail; `undefined` in a guest. */
  readonly jail: JailPlan | undefined;
  readonly ip: string;
  readonly bwrap: string;
  /** The interface to the host, in the namespace of the supervisor. */
  readonly uplink: string;
  /** The cgroup under which each exec gets its own. */
  readonly cgroup: string;
  /** Where the kernel's first network namespace is bound, for sockets that are there alone; `undefined`: this one is it. */
  readonly hostNetwork: string | undefined;
  /** The workload's user as the kernel's records name it: in a jail it has another number inside. */
  readonly workload: { readonly uid: number; readonly gid: number };
};

/** Where cgroup v2 is mounted, and where nft looks for cgroups; in a jail, in the supervisor's own mount namespace. */
export const cgroupMount = '/sys/fs/cgroup';

/** Where this process stands, as its environment says. */
export const place: Place = placeOf(env[jailVariable]);

/**
 * The place that follows from the value of {@link jailVariable}. Programs of a host are found along `$PATH`.
 *
 * @throws BUG when the value is no plan
 */
export function placeOf(plan: string | undefined): Place {
  if (plan === undefined) {
    return {
      jail: undefined,
      ip: guestPaths.ip,
      bwrap: guestPaths.bwrap,
      uplink: link.guestInterface,
      cgroup: `${cgroupMount}/workload`,
      hostNetwork: undefined,
      workload: { uid: workloadUser.uid, gid: workloadUser.gid },
    };
  }
  const jail = parseJailPlan(plan);
  return {
    jail,
    ip: 'ip',
    bwrap: 'bwrap',
    uplink: jail.uplink,
    cgroup: `${cgroupMount}${jail.cgroup}/workload`,
    hostNetwork: jail.hostNetwork,
    workload: { uid: jail.uid, gid: jail.uid },
  };
}
