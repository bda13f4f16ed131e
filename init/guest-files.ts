import { link, workloadUser } from './contract.ts';

/** A text file of the guest root. `path` has no leading slash. */
export type TextFile = { readonly path: string; readonly text: string };

/**
 * The configuration files of the guest root, made from the contract: users, names, and what init reads.
 *
 * `modules` is what init loads, in order. Example of one file:
 * `{path: 'etc/passwd', text: 'root:x:0:0:root:/run:/bin/sh\n…'}`.
 */
export function renderGuestFiles(modules: readonly string[]): readonly TextFile[] {
  const { name, uid, gid, home } = workloadUser;
  return [
    { path: 'etc/passwd', text: `root:x:0:0:root:/run:/bin/sh\n${name}:x:${uid}:${gid}:${name}:${home}:/bin/sh\n` },
    { path: 'etc/group', text: `root:x:0:\ntty:x:5:\n${name}:x:${gid}:\n` },
    {
      path: 'etc/nsswitch.conf',
      text: 'passwd: files\ngroup: files\nhosts: files\nprotocols: files\nservices: files\n',
    },
    { path: 'etc/hosts', text: '127.0.0.1 localhost\n::1 localhost\n' },
    { path: 'etc/fstab', text: mounts.map((fields) => `${fields.join(' ')}\n`).join('') },
    { path: 'etc/hostname', text: 'tapwarden\n' },
    { path: 'etc/protocols', text: protocols.map(([protocol, number]) => `${protocol} ${number}\n`).join('') },
    { path: 'etc/tapwarden/modules', text: modules.map((module) => `${module}\n`).join('') },
    { path: 'etc/tapwarden/network.batch', text: renderNetworkBatch() },
  ];
}

/** What init mounts, in order; the folders in /dev are made by initrd.sh. Source: fstab(5). */
const mounts = [
  ['sysfs', '/sys', 'sysfs', 'nosuid,nodev,noexec'],
  ['cgroup2', '/sys/fs/cgroup', 'cgroup2', 'nosuid,nodev,noexec'],
  ['tmpfs', '/run', 'tmpfs', 'nosuid,nodev,mode=0755'],
  ['tmpfs', '/tmp', 'tmpfs', 'nosuid,nodev,mode=1777'],
  ['devpts', '/dev/pts', 'devpts', 'nosuid,noexec,gid=5,mode=0620,ptmxmode=0666'],
  ['tmpfs', '/dev/shm', 'tmpfs', 'nosuid,nodev,noexec,mode=1777'],
] as const;

/**
 * A modules.dep without any dependency, for lists of modules that are in the order in which to load them.
 *
 * Source: modules.dep(5).
 */
export function renderModulesDep(names: readonly string[]): string {
  return names.map((name) => `${name}.ko:\n`).join('');
}

/** nft reads protocol names from /etc/protocols. Source: IANA, Assigned Internet Protocol Numbers. */
const protocols = [
  ['icmp', 1],
  ['tcp', 6],
  ['udp', 17],
  ['dccp', 33],
  ['esp', 50],
  ['ah', 51],
  ['ipv6-icmp', 58],
  ['sctp', 132],
  ['udplite', 136],
] as const;

/**
 * The guest's network as lines for `ip -batch`.
 *
 * The TAP does not answer ARP or neighbour solicitations, so the host is a permanent neighbour of both families. The
 * default routes lead to the host, which forwards what a direct rule allows and drops the rest.
 */
export function renderNetworkBatch(): string {
  const { guestInterface: device, hostMac, hostIpv4, hostIpv6 } = link;
  const lines = [
    'link set lo up',
    `link set ${device} addrgenmode none`,
    `addr add ${link.guestIpv4}/${link.ipv4PrefixLength} dev ${device}`,
    `addr add ${link.guestIpv6}/${link.ipv6PrefixLength} dev ${device} nodad`,
    `link set ${device} up`,
    `neigh replace ${hostIpv4} lladdr ${hostMac} dev ${device} nud permanent`,
    `neigh replace ${hostIpv6} lladdr ${hostMac} dev ${device} nud permanent`,
    `route replace default via ${hostIpv4} dev ${device}`,
    `route replace ::/0 via ${hostIpv6} dev ${device}`,
  ];
  return lines.map((line) => `${line}\n`).join('');
}
