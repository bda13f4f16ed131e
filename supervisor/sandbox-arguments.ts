import { workloadUser } from '../init/contract.ts';
import { place } from './place.ts';
import { workloadHostname, workloadPaths } from './workload-layout.ts';

/** What the sandbox around a command is built from. */
export type SandboxSpec = {
  readonly env: Readonly<Record<string, string>>;
  /** Absolute, in the workload's root. */
  readonly workdir: string;
  /** Descriptor from which bwrap reads the system call filter. */
  readonly seccompFd: number;
  /** Descriptor to which bwrap reports the pid of process 1. */
  readonly statusFd: number;
  /** Descriptor of the user namespace in which to build it; without it the one of this process. */
  readonly userFd?: number;
};

/**
 * The bwrap command line of a workload: `['bwrap', '--unshare-pid', …]`, without the command.
 *
 * What the workload sees: its root, a /proc of its own pid namespace (whose processes are all its own), /proc/sys and
 * /sys read-only, a /dev of null, zero, full, random, urandom, tty, pts and shm, no cgroup tree. Source: bwrap(1).
 */
export function sandboxArguments(spec: SandboxSpec): readonly string[] {
  return [
    place.bwrap,
    ...(spec.userFd === undefined ? [] : inUserNamespace(spec.userFd)),
    '--unshare-pid',
    '--unshare-ipc',
    '--unshare-uts',
    '--unshare-cgroup',
    '--die-with-parent',
    '--new-session',
    '--hostname',
    workloadHostname,
    '--bind',
    workloadPaths.root,
    '/',
    '--ro-bind',
    workloadPaths.sys,
    '/sys',
    '--proc',
    '/proc',
    '--ro-bind',
    '/proc/sys',
    '/proc/sys',
    '--dev',
    '/dev',
    '--tmpfs',
    '/run',
    '--chdir',
    spec.workdir,
    '--seccomp',
    String(spec.seccompFd),
    '--json-status-fd',
    String(spec.statusFd),
    '--clearenv',
    ...Object.entries(spec.env).flatMap(([name, value]) => ['--setenv', name, value]),
  ];
}

/**
 * Its maker let one user into it, who is another one outside, and none to make user namespaces of their own. That the
 * descriptor is also one to be kept by process 1 closes it in the command.
 */
function inUserNamespace(fd: number): readonly string[] {
  return [
    '--userns',
    String(fd),
    '--sync-fd',
    String(fd),
    '--uid',
    String(workloadUser.uid),
    '--gid',
    String(workloadUser.gid),
  ];
}
