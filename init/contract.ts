/**
 * What the host and the guest agree on: devices, addresses, paths, and the words on the serial console.
 *
 * Every slot looks the same from inside, so these are constants, and a snapshot restores into any slot.
 */

/** The link between guest and host. Source: RFC 4193 (fd00::/8) for the IPv6 prefix. */
export const link = {
  /** The guest's name for its only interface. */
  guestInterface: 'eth0',
  /** The host's name for the TAP, inside the slot. */
  hostInterface: 'tap0',
  guestMac: '02:74:77:00:00:02',
  hostMac: '02:74:77:00:00:01',
  guestIpv4: '10.0.128.2',
  hostIpv4: '10.0.128.1',
  ipv4PrefixLength: 30,
  guestIpv6: 'fd74:7761:7264::2',
  hostIpv6: 'fd74:7761:7264::1',
  ipv6PrefixLength: 126,
  /** The only port of the host that the guest may reach. */
  gatewayPort: 3128,
} as const;

/** The name of the virtio-serial port that carries the channel, as in `/sys/class/virtio-ports/<port>/name`. */
export const channelPortName = 'tapwarden.0';

/** The disks in the order in which QEMU gets them. Both are ext4 and read-only. */
export const disks = { guestRoot: '/dev/vda', workloadRoot: '/dev/vdb' } as const;

/** Paths inside the guest. */
export const guestPaths = {
  node: '/usr/bin/node',
  /** What `node` is given to run {@link guestPaths.supervisor} with code that was made of it before. */
  loader: '/usr/lib/tapwarden/load-program.cjs',
  supervisor: '/usr/lib/tapwarden/supervisor.cjs',
  /** Native modules that the supervisor loads when it first needs them. */
  nativeModules: '/usr/lib/tapwarden/native',
  nft: '/usr/sbin/nft',
  ip: '/usr/sbin/ip',
  /** Set-user-id root: it builds the workload's sandbox, since user namespaces are off. */
  bwrap: '/usr/bin/bwrap',
  busybox: '/usr/bin/busybox',
  /** Where the kernel writes how each process ended, as acct(5) records. */
  accounting: '/run/accounting/records',
  /** An empty directory of the guest root, to mount {@link disks}`.workloadRoot` on. */
  workloadMount: '/workload',
} as const;

/** Who the workload is, in the guest and in the workload image. */
export const workloadUser = { name: 'workload', uid: 1000, gid: 1000, home: '/home/workload' } as const;

/** The word on the kernel command line that makes the guest answer and power off. */
export const probeArgument = 'tapwarden.probe';

/** Lines on the serial console. Each ends in a newline; the kernel may print others between them. */
export const consoleLines = {
  /** The whole line of a guest that was booted with {@link probeArgument}. */
  probeOk: 'tapwarden-probe-ok',
  /** The start of everything that the guest's init has to say, for example `tapwarden-init: module sctp is absent`. */
  initPrefix: 'tapwarden-init: ',
  /** Followed by the exit status of the supervisor; then the guest powers off. */
  supervisorEnded: 'tapwarden-init: supervisor ended with status ',
} as const;
