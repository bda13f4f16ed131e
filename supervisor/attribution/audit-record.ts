import { isIPv6 } from 'node:net';

/**
 * Audit records, text to values. The kernel writes `audit(SECONDS.MILLIS:SERIAL): key=value key=value …`; a value that a
 * process can choose stands in quotes, or in hexadecimal where it holds a space, a quote, or anything beside printable
 * ASCII. So no value holds a space, and none can imitate the next key.
 *
 * Source: kernel/audit.c (audit_log_n_untrustedstring, audit_string_contains_control), include/uapi/linux/audit.h.
 */
export const auditTypes = {
  get: 1000,
  set: 1001,
  user: 1005,
  addRule: 1011,
  deleteRule: 1012,
  listRules: 1013,
  getFeature: 1019,
  syscall: 1300,
  socketCall: 1304,
  configChange: 1305,
  socketAddress: 1306,
  execArguments: 1309,
  end: 1320,
} as const;

/** One record. All records of one system call have one serial number. */
export type AuditRecord = {
  readonly type: number;
  readonly serial: number;
  /** Epoch milliseconds: when the system call began, up to one tick of the kernel's clock (4 or 10 ms) too early. */
  readonly timeMs: number;
  /** ` key=value` for each field, as they stand there. See {@link auditField}. */
  readonly text: string;
};

/** An address of a socket as a system call named it. */
export type SocketAddress = { readonly address: string; readonly port: number };

const header = /^audit\((\d{1,12})\.(\d{3}):(\d{1,10})\): ?/;

/** Parses the text of a record; `undefined` when it is none. Fields are looked for when they are asked for: few are. */
export function parseAuditRecord(type: number, text: string): AuditRecord | undefined {
  const match = header.exec(text);
  if (match === null) return undefined;
  let end = text.length;
  while (text.charCodeAt(end - 1) === 0) end -= 1;
  return {
    type,
    serial: Number(match[3]),
    timeMs: Number(match[1]) * 1000 + Number(match[2]),
    text: ` ${text.slice(match[0].length, end)}`,
  };
}

/** The value of a field, the first of that name; {@link readAuditText} and {@link readAuditNumber} read it. */
export function auditField({ text }: AuditRecord, key: string): string | undefined {
  const name = ` ${key}=`;
  const at = text.indexOf(name);
  if (at < 0) return undefined;
  const end = text.indexOf(' ', at + name.length);
  return text.slice(at + name.length, end < 0 ? text.length : end);
}

/** All fields in their order, each with its value. */
export function auditFields({ text }: AuditRecord): readonly (readonly [key: string, value: string])[] {
  return text.split(' ').flatMap((field) => {
    const at = field.indexOf('=');
    return at > 0 ? [[field.slice(0, at), field.slice(at + 1)] as const] : [];
  });
}

/** A text that a process may have chosen. Bytes that are no UTF-8 become U+FFFD; `(null)` and `(none)` are no text. */
export function readAuditText(value: string | undefined): string | undefined {
  if (value === undefined) return undefined;
  // What stands in quotes is printable ASCII. A copy, because a part of a text keeps all of it in memory.
  if (value.length >= 2 && value.startsWith('"') && value.endsWith('"')) {
    return Buffer.from(value.slice(1, -1), 'latin1').toString('latin1');
  }
  return readHex(value)?.toString('utf8');
}

function readHex(value: string): Buffer | undefined {
  return value.length % 2 === 0 && /^[\dA-F]+$/i.test(value) ? Buffer.from(value, 'hex') : undefined;
}

/** A whole number, negative ones too; `undefined` where there is none. */
export function readAuditNumber(value: string | undefined, radix: 10 | 16 = 10): number | undefined {
  if (value === undefined || !(radix === 10 ? /^-?\d{1,20}$/ : /^[\da-f]{1,16}$/).test(value)) return undefined;
  return Number.parseInt(value, radix);
}

/**
 * The destination in a `saddr` field, which holds the raw address in hexadecimal. IPv6 is written short, and an IPv4
 * address inside IPv6 (`::ffff:192.0.2.1`) as IPv4, since that is what is sent. The kernel takes an unspecified family for
 * IPv4 where it sends datagrams. `undefined` for other families. Source: ip(7), ipv6(7), net/ipv4/udp.c (udp_sendmsg).
 */
export function parseSocketAddress(hex: string | undefined): SocketAddress | undefined {
  const bytes = hex === undefined ? undefined : readHex(hex);
  if (bytes === undefined || bytes.length < 8) return undefined;
  const family = bytes.readUInt16LE(0);
  const port = bytes.readUInt16BE(2);
  if (family === 2 || family === 0) return { address: formatIp4(bytes.subarray(4, 8)), port };
  if (family !== 10 || bytes.length < 24) return undefined;
  return { address: formatIp6(bytes.subarray(8, 24)), port };
}

/** Four bytes as `192.0.2.1`. */
export function formatIp4(bytes: Buffer): string {
  return bytes.join('.');
}

/** Sixteen bytes as `2001:db8::1`; an IPv4 address inside as IPv4. */
export function formatIp6(bytes: Buffer): string {
  const isMapped = bytes.subarray(0, 10).every((byte) => byte === 0) && bytes.readUInt16BE(10) === 0xffff;
  if (isMapped) return formatIp4(bytes.subarray(12));
  const groups = Array.from({ length: 8 }, (_, at) => bytes.readUInt16BE(2 * at).toString(16));
  const text = groups.join(':');
  return isIPv6(text) ? new URL(`http://[${text}]`).hostname.slice(1, -1) : text;
}
