import { isIPv4, isIPv6 } from 'node:net';

/** A packet as a netfilter log rule printed it. Absent attributes are `null`. */
export type LoggedPacket = {
  readonly interfaceOut: string;
  readonly source: string;
  /** IPv6 addresses in their short form. */
  readonly destination: string;
  readonly length: number;
  /** IANA number. */
  readonly protocol: number;
  readonly sourcePort: number | null;
  readonly destinationPort: number | null;
  readonly icmp: { readonly type: number; readonly code: number } | null;
  /** The flags byte of the TCP header: FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32, ECE 64, CWR 128. */
  readonly tcpFlags: number | null;
  readonly uid: number | null;
  readonly gid: number | null;
  readonly mark: number | null;
};

/**
 * Parses what follows the prefix of a netfilter log line, the whole of it: a line that holds anything which the kernel
 * does not print, in another order, is not one, so that a program whose name or argument imitates a line is not believed.
 *
 * Example: `IN= OUT=eth0 SRC=10.200.0.2 DST=198.51.100.1 LEN=60 TOS=0x00 PREC=0x00 TTL=64 ID=5 DF PROTO=TCP SPT=46148
 * DPT=80 WINDOW=64240 RES=0x00 SYN URGP=0 UID=1000 GID=1000`.
 *
 * Only packets on their way out are taken (`IN=` empty). SCTP and DCCP have no ports in the kernel's line.
 * Source: net/netfilter/nf_log_syslog.c of Linux 6.1.
 */
export function parseNetfilterLogLine(line: string): LoggedPacket | undefined {
  const head = ip4.exec(line) ?? ip6.exec(line);
  if (head === null) return undefined;
  // Groups are taken by number: the engine takes as long to name them as to find them.
  const [, interfaceOut = '', from = '', to = '', size, fragment, word = '', rest = ''] = head;
  const source = readAddress(from);
  const destination = readAddress(to);
  const protocol = protocolNumber(word);
  const tail = parseTail(word, rest, fragment !== undefined);
  if (source === undefined || destination === undefined || protocol === undefined || tail === undefined) {
    return undefined;
  }
  const length = Number(size);
  if (length > (source.includes(':') ? 65_575 : 65_535)) return undefined;
  const { sourcePort, destinationPort, icmp, tcpFlags, uid, gid, mark } = tail;
  // A literal, because to spread an object takes longer than all that is before.
  return {
    interfaceOut,
    source,
    destination,
    length,
    protocol,
    sourcePort,
    destinationPort,
    icmp,
    tcpFlags,
    uid,
    gid,
    mark,
  };
}

/** Groups: interface, source, destination, length, fragment offset, protocol, the rest. */
const ip4 =
  /^IN= OUT=([\w.-]{1,15}) SRC=([\d.]{7,15}) DST=([\d.]{7,15}) LEN=(\d{1,5}) TOS=0x[\dA-F]{2} PREC=0x[\dA-F]{2} TTL=\d{1,3} ID=\d{1,5} (?:CE )?(?:DF )?(?:MF )?(?:FRAG:(\d{1,5}) )?PROTO=(\w{1,8}) ?(.*)$/;
const ip6 =
  /^IN= OUT=([\w.-]{1,15}) SRC=([\da-f:]{39}) DST=([\da-f:]{39}) LEN=(\d{1,5}) TC=\d{1,3} HOPLIMIT=\d{1,3} FLOWLBL=\d{1,7} (?:FRAG:(\d{1,5}) (?:INCOMPLETE )?ID:[\da-f]{8} )?PROTO=(\w{1,8}) ?(.*)$/;

/** What may follow `PROTO=…`, for a protocol that the kernel prints by name. */
type Detail = {
  readonly number: number;
  readonly pattern: RegExp;
  /** What the two groups of the pattern are; those of TCP have the flags as a third. */
  readonly groups: 'ports' | 'icmp' | 'none';
};

const ports = /^SPT=(\d{1,5}) DPT=(\d{1,5}) LEN=\d{1,5} ?/;
const tcp =
  /^SPT=(\d{1,5}) DPT=(\d{1,5}) WINDOW=\d{1,5} RES=0x[\da-f]{2} ((?:CWR )?(?:ECE )?(?:URG )?(?:ACK )?(?:PSH )?(?:RST )?(?:SYN )?(?:FIN )?)URGP=\d{1,5} ?/;
const icmp = /^TYPE=(\d{1,3}) CODE=(\d{1,3}) (?:ID=\d{1,5} SEQ=\d{1,5} )?/;
const spi = /^SPI=0x[\da-f]{1,8} ?/;

const details: ReadonlyMap<string, Detail> = new Map([
  ['TCP', { number: 6, pattern: tcp, groups: 'ports' }],
  ['UDP', { number: 17, pattern: ports, groups: 'ports' }],
  ['UDPLITE', { number: 136, pattern: ports, groups: 'ports' }],
  ['ICMP', { number: 1, pattern: icmp, groups: 'icmp' }],
  ['ICMPv6', { number: 58, pattern: icmp, groups: 'icmp' }],
  ['AH', { number: 51, pattern: spi, groups: 'none' }],
  ['ESP', { number: 50, pattern: spi, groups: 'none' }],
]);
const incomplete = /^INCOMPLETE \[\d{1,5} bytes\] ?/;
/** Groups: uid, gid, mark. */
const owner = /^(?:UID=(\d{1,10}) GID=(\d{1,10}) ?)?(?:MARK=0x([\da-f]{1,8}) ?)?$/;

type Tail = Omit<LoggedPacket, 'interfaceOut' | 'source' | 'destination' | 'length' | 'protocol'>;

function parseTail(word: string, rest: string, isFragment: boolean): Tail | undefined {
  const detail = details.get(word);
  // Of a later fragment the kernel prints no transport header, and of a short packet it prints INCOMPLETE.
  const found = detail?.pattern.exec(rest);
  const header = found ?? incomplete.exec(rest);
  if (detail !== undefined && header === null && !isFragment) return undefined;
  const own = owner.exec(header === null ? rest : rest.slice(header[0].length));
  if (own === null) return undefined;
  const hasPorts = detail?.groups === 'ports';
  const max = hasPorts ? 65_535 : 255;
  const first = readNumber(found?.[1], max);
  const second = readNumber(found?.[2], max);
  const uid = readNumber(own[1], 0xffffffff);
  const gid = readNumber(own[2], 0xffffffff);
  const mark = readNumber(own[3], 0xffffffff, 16);
  if (Number.isNaN((first ?? 0) + (second ?? 0) + (uid ?? 0) + (gid ?? 0) + (mark ?? 0))) return undefined;
  return {
    sourcePort: hasPorts ? first : null,
    destinationPort: hasPorts ? second : null,
    icmp: hasPorts || first === null || second === null ? null : { type: first, code: second },
    tcpFlags: flagsByWords.get(found?.[3]) ?? null,
    uid,
    gid,
    mark,
  };
}

/** `null` where there is no text, `NaN` where its number is above `max`. */
function readNumber(text: string | undefined, max: number, radix = 10): number | null {
  if (text === undefined) return null;
  const value = Number.parseInt(text, radix);
  return value <= max ? value : Number.NaN;
}

/** The flags of TCP from the lowest bit, which the kernel prints from the highest. */
const flagNames = ['FIN', 'SYN', 'RST', 'PSH', 'ACK', 'URG', 'ECE', 'CWR'] as const;

/** All that can stand in a line for the flags, each word with a space behind it. */
const flagsByWords: ReadonlyMap<string | undefined, number> = new Map(
  Array.from({ length: 256 }, (_, bits) => [
    flagNames
      .map((name, bit) => ((bits >> bit) & 1 ? `${name} ` : ''))
      .reverse()
      .join(''),
    bits,
  ]),
);

function protocolNumber(word: string): number | undefined {
  const detail = details.get(word);
  if (detail !== undefined) return detail.number;
  return /^\d{1,3}$/.test(word) && Number(word) <= 255 ? Number(word) : undefined;
}

/** IPv6 addresses come in full, `2001:0db8:0000:…`; everything else of tapwarden writes them short. */
function readAddress(text: string): string | undefined {
  if (isIPv4(text)) return text;
  return isIPv6(text) ? shortIp6(text) : undefined;
}

/** An IPv6 address in its short form. Example: `2001:db8::1` for `2001:0db8:0000:…:0001`. */
export function shortIp6(text: string): string {
  return new URL(`http://[${text}]`).hostname.slice(1, -1);
}
