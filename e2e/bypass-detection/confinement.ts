import { readFileSync } from 'node:fs';
import type { ExecutionContext } from 'ava';
import type { Bench } from '../support/sandbox-bench.ts';

const probe = readFileSync('e2e/bypass-detection/testdata/confinement.py', 'utf8');

/** What testdata/confinement.py prints. */
type Report = {
  /** The errno that each attempt ended with, or `ok`. */
  readonly refused: Readonly<Record<string, string>>;
  readonly seen: {
    readonly status: Readonly<Record<string, string>>;
    readonly mounts: Readonly<Record<string, readonly string[]>>;
    readonly [name: string]: unknown;
  };
};

/** Every attempt of the probe, by the errno that it must end with. */
const refusals: Readonly<Record<string, readonly string[]>> = {
  EPERM: [
    ...['nftables', 'audit', 'kobject-uevent', 'packet-socket', 'packet-datagram'],
    ...['raw-socket', 'raw-icmp', 'raw-socket-6', 'packet-mark', 'source-route', 'transparent'],
    ...['unshare-user', 'unshare-net', 'unshare-mount', 'unshare-user-net', 'clone-user', 'setns'],
    ...['setuid-0', 'setgid-0', 'chroot', 'mount-tmpfs', 'mount-proc', 'remount-sys', 'umount', 'pivot-root'],
    ...['reboot', 'hostname', 'clock', 'load-module', 'kexec', 'syslog', 'accounting'],
    ...['bpf', 'perf-event', 'io-uring', 'userfaultfd', 'add-key', 'keyctl'],
    ...['mknod-kmsg', 'mknod-disk', 'ptrace-1', 'read-memory-1'],
  ],
  EAFNOSUPPORT: ['vsock', 'alg', 'xdp'],
  ENOSYS: ['clone3', 'x32', '32-bit-call'],
  EACCES: [
    ...['low-port', 'nice', 'read /proc/kmsg', 'read /proc/kcore', 'read /proc/1/mem'],
    ...['write /proc/sysrq-trigger', 'write /etc/passwd', 'write /usr/bin/python3'],
  ],
  EROFS: [
    ...['write /proc/sys/kernel/dmesg_restrict', 'write /proc/sys/kernel/hostname', 'write /sys/class/net/eth0/mtu'],
    ...['write /proc/sys/net/ipv4/ip_forward', 'write /proc/sys/net/ipv4/ping_group_range'],
  ],
  // Not there at all: devices and files of the guest around the sandbox.
  ENOENT: [
    ...['kmsg', 'vda', 'vdb', 'vport0p1', 'vport1p1', 'mem', 'net/tun', 'fuse', 'ttyS0', 'console', 'kvm'].map(
      (device) => `read /dev/${device}`,
    ),
    ...['/proc/1/root/dev/kmsg', '/sys/kernel/debug/x', '/sys/fs/cgroup/cgroup.procs'].map((path) => `read ${path}`),
    ...['/run/execs', '/run/netns/workload', '/usr/lib/tapwarden'].map((path) => `read ${path}`),
    ...['write /proc/sys/net/netfilter/nf_log_all_netns', 'make-directory-in-sys'],
  ],
  // No terminal, and no process but its own.
  ENXIO: ['read /dev/tty'],
  ESRCH: ['signal-100', 'pidfd-100'],
};

/**
 * Answers that are otherwise in a jail: its user namespace has no other users, of the host all is read-only, and the kernel
 * is the machine's, which may lack this or that. Process 1 of the sandbox is the workload's own, and may be looked into.
 */
const jailAnswers: Readonly<Record<string, readonly string[]>> = {
  'setuid-0': ['EINVAL'],
  'setgid-0': ['EINVAL'],
  'load-module': ['EPERM', 'ENOSYS'],
  kexec: ['EPERM', 'ENOSYS'],
  'read /proc/kcore': ['EACCES', 'ENOENT'],
  'read /proc/1/mem': ['ok'],
  'write /proc/sysrq-trigger': ['EACCES', 'ENOENT', 'EROFS'],
  'write /etc/passwd': ['EROFS'],
  'write /usr/bin/python3': ['EROFS'],
  'make-directory-in-sys': ['ENOENT', 'EROFS'],
};

/** A workload gets neither privileges nor devices nor sight of what is around it. */
export async function isConfined(t: ExecutionContext, bench: Bench): Promise<void> {
  const { status, stdout, stderr, result } = await bench.run(['--', 'python3', '-'], { input: probe });
  const [first, second] = stdout.toString('utf8').split('\n');
  t.is(first, 'to /dev/stdout', stderr);
  t.true(stderr.includes('to /dev/stderr\n'), stderr);
  const { refused, seen } = JSON.parse(second ?? '') as Report;

  const wanted = Object.entries(refusals).flatMap(([errno, names]) => names.map((name) => [name, errno] as const));
  const inJail = bench.boundary === 'jail';
  const expected = wanted.map(([name, errno]) => {
    const others = inJail ? (jailAnswers[name] ?? []) : [];
    return [name, others.find((answer) => answer === refused[name]) ?? others[0] ?? errno];
  });
  t.deepEqual(refused, Object.fromEntries(expected));

  const { status: own, mounts, cgroup, ...rest } = seen;
  t.true(
    String(cgroup)
      .split('\n')
      .every((line) => line.endsWith(':/')),
    'it sees no cgroup but its own',
  );
  t.deepEqual(own, {
    Uid: '1000\t1000\t1000\t1000',
    Gid: '1000\t1000\t1000\t1000',
    Groups: ' ',
    ...Object.fromEntries(['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'].map((set) => [set, '0'.repeat(16)])),
    NoNewPrivs: '1',
    Seccomp: '2',
  });
  for (const path of ['/sys', '/proc/sys']) t.true(mounts[path]?.includes('ro'), `${path} is read-only`);
  for (const path of ['/', '/proc', '/sys', '/dev', '/run']) {
    t.true(mounts[path]?.includes('nosuid'), `${path} gives no set-user-id`);
    t.true(mounts[path]?.includes('nodev'), `${path} has no devices`);
  }
  t.deepEqual(rest, {
    devices: 'core fd full null ptmx pts random shm stderr stdin stdout tty urandom zero'.split(' '),
    cgroupTree: [],
    links: ['eth0', 'lo'],
    hostname: 'sandbox',
    descriptors: [0, 1, 2],
    zombies: [],
    others: [],
    first: 'bwrap',
    // Process 1 is the sandbox's own, and shows nothing of the supervisor that started it.
    firstEnvironment: inJail ? ['LANG', 'PATH', 'PWD'] : ['HOME', 'LANG', 'PATH', 'PWD', 'SHLVL'],
    descriptorsOfFirst: ['anon_inode:[eventfd]', 'stderr', 'stdin', 'stdout', ...(inJail ? ['workload-user'] : [])],
  });

  // The probe signalled everything that it could, and the supervisor went on to report an end in order.
  t.is(status, 5, stderr);
  t.is(result?.reason, 'exited');
  t.is(result?.lost, 0);
}
