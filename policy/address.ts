import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';
import { TapwardenError } from '../base/errors.ts';
import { quoteText } from '../base/escape.ts';
import { bad, type Checked, type Cidr, ok } from './model.ts';

/** A range of addresses as numbers. Example: `10.1.2.0/24` is `{bits: 32, base: 0x0a010200n, prefix: 24}`. */
export type AddressRange = {
  /** The width of an address of this family. */
  readonly bits: 32 | 128;
  /** The lowest address of the range. */
  readonly base: bigint;
  /** The number of leading bits that all addresses of the range share; equal to `bits` for one address. */
  readonly prefix: number;
};

/**
 * Reads one address in the strict forms only: four decimal numbers without leading zeros, or RFC 4291 text without a
 * zone. `undefined` for anything else, such as `127.1`, `0x7f.0.0.1` or `fe80::1%eth0`.
 */
export function parseAddress(text: string): AddressRange | undefined {
  if (text.length > 45 || text.includes('%')) return undefined;
  const family = isIP(text);
  if (family === 0) return undefined;
  const bits = family === 4 ? 32 : 128;
  const base = ipaddr
    .parse(withoutDottedTail(text))
    .toByteArray()
    .reduce((value, byte) => (value << 8n) | BigInt(byte), 0n);
  return { bits, base, prefix: bits };
}

/**
 * Writes the dotted end of an IPv6 address as two hexadecimal groups: ipaddr.js reads `::8.8.8.8`, which is
 * IPv4-compatible, as the IPv4-mapped `::ffff:8.8.8.8`, which is another address.
 */
function withoutDottedTail(text: string): string {
  const match = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(text);
  if (match === null) return text;
  const [a, b, c, d] = match.slice(2).map(Number) as [number, number, number, number];
  return `${match[1]}${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
}

/**
 * Reads an address or a CIDR as a policy may write it. `'10.1.2.0/24'` gives `{bits: 32, base: 0x0a010200n,
 * prefix: 24}`. Refuses host bits, zones, brackets, ports, names and IPv4-mapped IPv6, and says what was meant.
 */
export function parseAddressRange(text: string): Checked<AddressRange> {
  const shown = quoteText(text, 80);
  if (text.includes('%')) return bad(`${shown} has a zone id`, 'A zone means nothing outside one host; leave it out.');
  const slash = text.indexOf('/');
  const addressText = slash === -1 ? text : text.slice(0, slash);
  const address = parseAddress(addressText);
  if (address === undefined) return bad(`${shown} is not an IP address or CIDR`, hintForOddAddress(addressText));
  let prefix: number = address.bits;
  if (slash !== -1) {
    const prefixText = text.slice(slash + 1);
    prefix = /^(0|[1-9]\d{0,2})$/.test(prefixText) ? Number(prefixText) : Number.NaN;
    if (!(prefix <= address.bits)) {
      return bad(`${shown} has a bad prefix length`, `Write a decimal number from 0 to ${address.bits} after the '/'.`);
    }
  }
  const range = enclosing(address, prefix);
  if (range.base !== address.base) {
    return bad(
      `${shown} has host bits set`,
      `Write ${formatRange(range)} for the network, or ${formatAddress(address)} for the one address.`,
    );
  }
  if (contains(mappedRange, range)) {
    return bad(
      `${shown} is IPv4-mapped IPv6`,
      `Write ${formatShortest({ bits: 32, base: range.base & 0xffff_ffffn, prefix: prefix - 96 })}: mapped addresses are judged as the IPv4 address that they hold.`,
    );
  }
  return ok(range);
}

/** Reads an entry of `addresses`. `'10.1.2.3'` gives `'10.1.2.3/32'`. */
export function parseCidr(text: string): Checked<Cidr> {
  const range = parseAddressRange(text);
  return range.kind === 'ok' ? ok(formatRange(range.value)) : range;
}

/** `::ffff:0:0/96`. Source: RFC 4291 section 2.5.5.2. */
const mappedRange: AddressRange = { bits: 128, base: 0xffffn << 32n, prefix: 96 };

/** The IPv4 address inside of an IPv4-mapped IPv6 address, and every other address unchanged. */
export function unmapped(address: AddressRange): AddressRange {
  return contains(mappedRange, address) ? { bits: 32, base: address.base & 0xffff_ffffn, prefix: 32 } : address;
}

/**
 * Reads a CIDR that was checked before.
 *
 * @throws POLICY_INVALID when it was not: a policy that was put together by hand goes through `parsePolicyModel` first
 */
export function knownRange(cidr: Cidr): AddressRange {
  const checked = parseAddressRange(cidr);
  if (checked.kind === 'bad') {
    throw new TapwardenError('POLICY_INVALID', {
      message: checked.message,
      hint: 'Pass policies that were put together by hand through parsePolicyModel first.',
    });
  }
  return checked.value;
}

/** Writes a range as {@link Cidr}, for example `'10.1.2.0/24'`. */
export function formatRange(range: AddressRange): Cidr {
  return `${formatAddress(range)}/${range.prefix}`;
}

/** Like {@link formatRange}, without the prefix length where the range is one address, as people write it. */
export function formatShortest(range: AddressRange): string {
  return range.prefix === range.bits ? formatAddress(range) : formatRange(range);
}

/** Writes the lowest address of a range in canonical text. Source: RFC 5952 for IPv6. */
export function formatAddress({ bits, base }: AddressRange): string {
  const bytes = Array.from({ length: bits / 8 }, (_, index) => Number((base >> BigInt(bits - 8 - 8 * index)) & 0xffn));
  const address = ipaddr.fromByteArray(bytes);
  return address instanceof ipaddr.IPv6 ? address.toRFC5952String() : address.toString();
}

/** Says whether every address of `inner` is in `outer`. */
export function contains(outer: AddressRange, inner: AddressRange): boolean {
  return (
    outer.bits === inner.bits && outer.prefix <= inner.prefix && enclosing(inner, outer.prefix).base === outer.base
  );
}

/** The range of `prefix` leading bits around the lowest address of `range`. */
export function enclosing({ bits, base }: AddressRange, prefix: number): AddressRange {
  const hostBits = BigInt(bits - prefix);
  return { bits, base: (base >> hostBits) << hostBits, prefix };
}

/** Orders ranges: IPv4 first, then by lowest address, then the wider range first. */
export function compareRanges(a: AddressRange, b: AddressRange): number {
  if (a.bits !== b.bits) return a.bits - b.bits;
  if (a.base !== b.base) return a.base < b.base ? -1 : 1;
  return a.prefix - b.prefix;
}

function hintForOddAddress(text: string): string {
  if (/^\[.*\]$/.test(text)) return 'Leave out the brackets.';
  if (/^(\d+\.){3}\d+:\d+$|^\[.*\]:\d+$/.test(text)) return "Leave out the port; it goes in 'ports'.";
  if (/^[0-9a-fx.]*$/i.test(text) && /^(0x)?\d/i.test(text)) {
    return 'Write IPv4 addresses as four decimal numbers from 0 to 255, without leading zeros.';
  }
  if (/^[a-z0-9_*-]+(\.[a-z0-9_-]+)*\.?$/i.test(text)) return "Names go in 'hosts'.";
  return 'Examples: 10.1.2.0/24, 192.0.2.10, "2001:db8::1".';
}
