import { place } from './place.ts';

/** Where the parts of the workload's environment are, in the guest or in the mount namespace of a jail's supervisor. */
export const workloadPaths = {
  /** The workload's root: the image below, a layer in memory above; or what a jail shows of its host. */
  root: '/run/workload/root',
  /** /sys as it is in the workload's network namespace: its interfaces, and no others. */
  sys: '/run/workload/sys',
  /** The user namespace of a jail's workload. */
  user: '/run/workload-user',
  /** The cgroup under which each exec gets its own. */
  cgroup: place.cgroup,
  /** The pipes of the execs. */
  execs: '/run/execs',
} as const;

/** Numbers of the execs whose cgroups are made at boot, so that the fence knows them; later ones cost a call of nft. */
export const premadeExecs: readonly number[] = [1, 2, 3, 4];

/** The cgroup of an exec, by its number. */
export function execCgroup(exec: number): string {
  return `${workloadPaths.cgroup}/exec-${exec}`;
}

/** The name that the workload sees as its host's. */
export const workloadHostname = 'sandbox';

/** A piece of shell and the variables that it reads. */
export type Setup = { readonly script: string; readonly env: Readonly<Record<string, string>> };
