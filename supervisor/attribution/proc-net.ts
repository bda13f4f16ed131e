import { formatIp4, formatIp6 } from './audit-record.ts';
import type { ListedSocket } from './socket-diag.ts';

/** Files of /proc/net that list the sockets of a protocol, IPv4 and IPv6, by its IANA number. */
export const socketTables: ReadonlyMap<number, Readonly<Record<4 | 6, string>>> = new Map([
  [1, { 4: 'icmp', 6: 'icmp6' }],
  [6, { 4: 'tcp', 6: 'tcp6' }],
  [17, { 4: 'udp', 6: 'udp6' }],
  [58, { 4: 'icmp', 6: 'icmp6' }],
  [136, { 4: 'udplite', 6: 'udplite6' }],
]);

/**
 * Parses such a file: `  12: 0200C80A:B4E2 00000000:0000 07 … 71001 0 4711 …` is a socket of uid 71001 with inode 4711,
 * bound to 10.200.0.2, port 46306. Addresses stand there as words in the byte order of the machine.
 *
 * Source: proc_net_tcp in Documentation/networking.
 */
export function parseSocketTable(text: string): readonly ListedSocket[] {
  return [...text.matchAll(row)].map(({ groups: part = {} }) => ({
    localAddress: readAddress(part['local'] ?? ''),
    localPort: Number.parseInt(part['localPort'] ?? '', 16),
    remoteAddress: readAddress(part['remote'] ?? ''),
    remotePort: Number.parseInt(part['remotePort'] ?? '', 16),
    uid: Number(part['uid']),
    inode: Number(part['inode']),
  }));
}

const row =
  /^ *\d+: (?<local>[\dA-F]{8}|[\dA-F]{32}):(?<localPort>[\dA-F]{4}) (?<remote>[\dA-F]{8}|[\dA-F]{32}):(?<remotePort>[\dA-F]{4}) [\dA-F]{2} \S+ \S+ \S+ +(?<uid>\d+) +\d+ +(?<inode>\d+)/gm;

function readAddress(hex: string): string {
  const bytes = Buffer.from(hex, 'hex').swap32();
  return bytes.length === 4 ? formatIp4(bytes) : formatIp6(bytes);
}
