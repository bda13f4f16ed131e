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
  if (head?.groups === undefined) return undefined;
  const { out, src, dst, len, proto, rest } = head.groups;
  const source = readAddress(src);
  const destination = readAddress(dst);
  const protocol = protocolNumber(proto);
  const tail = parseTail(proto ?? '', rest ?? '', head.groups['frag'] !== undefined);
  if (source === undefined || destination === undefined || protocol === undefined || tail === undefined) {
    return undefined;
  }
  if (Number(len) > (isIPv4(source) ? 65_535 : 65_575)) return undefined;
  return { interfaceOut: out ?? '', source, destination, length: Number(len), protocol, ...tail };
}

const ip4 =
  /^IN= OUT=(?<out>[\w.-]{1,15}) SRC=(?<src>[\d.]{7,15}) DST=(?<dst>[\d.]{7,15}) LEN=(?<len>\d{1,5}) TOS=0x[\dA-F]{2} PREC=0x[\dA-F]{2} TTL=\d{1,3} ID=\d{1,5} (?:CE )?(?:DF )?(?:MF )?(?:FRAG:(?<frag>\d{1,5}) )?PROTO=(?<proto>[\w]{1,8}) ?(?<rest>.*)$/;
const ip6 =
  /^IN= OUT=(?<out>[\w.-]{1,15}) SRC=(?<src>[\da-f:]{39}) DST=(?<dst>[\da-f:]{39}) LEN=(?<len>\d{1,5}) TC=\d{1,3} HOPLIMIT=\d{1,3} FLOWLBL=\d{1,7} (?:FRAG:(?<frag>\d{1,5}) (?:INCOMPLETE )?ID:[\da-f]{8} )?PROTO=(?<proto>[\w]{1,8}) ?(?<rest>.*)$/;

/** What may follow `PROTO=…`, for each protocol that the kernel prints by name. */
const details: Readonly<Record<string, RegExp>> = {
  TCP: /^SPT=(?<spt>\d{1,5}) DPT=(?<dpt>\d{1,5}) WINDOW=\d{1,5} RES=0x[\da-f]{2} (?<flags>(?:CWR )?(?:ECE )?(?:URG )?(?:ACK )?(?:PSH )?(?:RST )?(?:SYN )?(?:FIN )?)URGP=\d{1,5} ?/,
  UDP: /^SPT=(?<spt>\d{1,5}) DPT=(?<dpt>\d{1,5}) LEN=\d{1,5} ?/,
  UDPLITE: /^SPT=(?<spt>\d{1,5}) DPT=(?<dpt>\d{1,5}) LEN=\d{1,5} ?/,
  ICMP: /^TYPE=(?<type>\d{1,3}) CODE=(?<code>\d{1,3}) (?:ID=\d{1,5} SEQ=\d{1,5} )?/,
  ICMPv6: /^TYPE=(?<type>\d{1,3}) CODE=(?<code>\d{1,3}) (?:ID=\d{1,5} SEQ=\d{1,5} )?/,
  AH: /^SPI=0x[\da-f]{1,8} ?/,
  ESP: /^SPI=0x[\da-f]{1,8} ?/,
};
const incomplete = /^INCOMPLETE \[\d{1,5} bytes\] ?/;
const owner = /^(?:UID=(?<uid>\d{1,10}) GID=(?<gid>\d{1,10}) ?)?(?:MARK=0x(?<mark>[\da-f]{1,8}) ?)?$/;

const protocolsByName: Readonly<Record<string, number>> = {
  TCP: 6,
  UDP: 17,
  UDPLITE: 136,
  ICMP: 1,
  ICMPv6: 58,
  AH: 51,
  ESP: 50,
};

type Tail = Omit<LoggedPacket, 'interfaceOut' | 'source' | 'destination' | 'length' | 'protocol'>;

function parseTail(protocol: string, rest: string, fragment: boolean): Tail | undefined {
  const pattern = Object.hasOwn(details, protocol) ? details[protocol] : undefined;
  // Of a later fragment the kernel prints no transport header, and of a short packet it prints INCOMPLETE.
  const detail = pattern?.exec(rest) ?? incomplete.exec(rest);
  if (pattern !== undefined && detail === null && !fragment) return undefined;
  const own = owner.exec(rest.slice(detail?.[0].length ?? 0));
  if (own === null) return undefined;
  const [found, owned] = [detail?.groups, own.groups];
  const type = readNumber(found?.['type'], 255);
  const code = readNumber(found?.['code'], 255);
  const tail: Tail = {
    sourcePort: readNumber(found?.['spt'], 65_535),
    destinationPort: readNumber(found?.['dpt'], 65_535),
    icmp: type === null || code === null ? null : { type, code },
    tcpFlags: found?.['flags'] === undefined ? null : tcpFlagsOf(found['flags']),
    uid: readNumber(owned?.['uid'], 0xffffffff),
    gid: readNumber(owned?.['gid'], 0xffffffff),
    mark: readNumber(owned?.['mark'], 0xffffffff, 16),
  };
  const { sourcePort, destinationPort, uid, gid, mark } = tail;
  const isInRange = !Number.isNaN((type ?? 0) + (code ?? 0) + (sourcePort ?? 0) + (destinationPort ?? 0));
  return isInRange && !Number.isNaN((uid ?? 0) + (gid ?? 0) + (mark ?? 0)) ? tail : undefined;
}

/** `null` where there is no text, `NaN` where its number is above `max`. */
function readNumber(text: string | undefined, max: number, radix = 10): number | null {
  if (text === undefined) return null;
  const value = Number.parseInt(text, radix);
  return value <= max ? value : Number.NaN;
}

const flagBits: Readonly<Record<string, number>> = {
  FIN: 1,
  SYN: 2,
  RST: 4,
  PSH: 8,
  ACK: 16,
  URG: 32,
  ECE: 64,
  CWR: 128,
};

function tcpFlagsOf(words: string): number {
  let bits = 0;
  for (const word of words.split(' ')) bits |= flagBits[word] ?? 0;
  return bits;
}

function protocolNumber(name: string | undefined): number | undefined {
  if (name === undefined) return undefined;
  if (/^\d{1,3}$/.test(name)) return Number(name) <= 255 ? Number(name) : undefined;
  return Object.hasOwn(protocolsByName, name) ? protocolsByName[name] : undefined;
}

/** IPv6 addresses come in full, `2001:0db8:0000:…`; everything else of tapwarden writes them short. */
function readAddress(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  if (isIPv4(text)) return text;
  return isIPv6(text) ? shortIp6(text) : undefined;
}

/** An IPv6 address in its short form. Example: `2001:db8::1` for `2001:0db8:0000:…:0001`. */
export function shortIp6(text: string): string {
  return new URL(`http://[${text}]`).hostname.slice(1, -1);
}
