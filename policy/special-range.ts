import { type AddressRange, contains, knownRange } from './address.ts';

/** Why an address is special. */
export type SpecialName =
  | 'loopback'
  | 'unspecified'
  | 'link-local'
  | 'private'
  | 'unique-local'
  | 'shared'
  | 'multicast'
  | 'broadcast'
  | 'reserved'
  | 'benchmarking'
  | 'discard'
  | 'ietf-protocol'
  | 'site-local'
  | 'nat64-local'
  | 'metadata';

/** A range that a name or a wide rule must not open by accident. */
export type SpecialRange = {
  readonly name: SpecialName;
  readonly range: AddressRange;
  /** What it is, to follow "… is". Example: `'a private address (RFC 1918)'`. */
  readonly text: string;
};

const special = (name: SpecialName, cidr: string, text: string): SpecialRange => withRange({ name, text }, cidr);

/** The range is read when it is asked for: all of them at each start would take a tenth of what Node takes itself. */
function withRange<T extends object>(given: T, cidr: string): T & { readonly range: AddressRange } {
  let range: AddressRange | undefined;
  return Object.defineProperty(given, 'range', {
    get: () => (range ??= knownRange(cidr)),
    enumerable: true,
  }) as T & { readonly range: AddressRange };
}

/**
 * Every special range, narrow before wide, so that the first match is the one to name.
 *
 * Documentation ranges are missing on purpose: nothing answers there, so they harm nobody. IPv6 outside 2000::/3 is not
 * handed out and counts as reserved. Source: IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890).
 */
export const specialRanges: readonly SpecialRange[] = [
  special('broadcast', '255.255.255.255/32', 'the broadcast address'),
  special('metadata', '168.63.129.16/32', 'the host agent of Azure, which answers to virtual machines'),
  special('ietf-protocol', '192.0.0.0/24', 'reserved for IETF protocols (RFC 6890)'),
  special('link-local', '169.254.0.0/16', 'link-local; cloud metadata services are there (RFC 3927)'),
  special('private', '192.168.0.0/16', 'a private address (RFC 1918)'),
  special('benchmarking', '198.18.0.0/15', 'reserved for benchmarks (RFC 2544)'),
  special('private', '172.16.0.0/12', 'a private address (RFC 1918)'),
  special('shared', '100.64.0.0/10', 'shared address space of carriers and clouds (RFC 6598)'),
  special('unspecified', '0.0.0.0/8', '"this network", which a kernel takes for the host itself (RFC 1122)'),
  special('private', '10.0.0.0/8', 'a private address (RFC 1918)'),
  special('loopback', '127.0.0.0/8', 'a loopback address'),
  special('multicast', '224.0.0.0/4', 'a multicast address'),
  special('reserved', '240.0.0.0/4', 'reserved (RFC 1112)'),
  special('unspecified', '::/128', 'the unspecified address, which a kernel takes for the host itself'),
  special('loopback', '::1/128', 'the loopback address'),
  special('discard', '100::/64', 'the discard prefix (RFC 6666)'),
  special('nat64-local', '64:ff9b:1::/48', 'a local translation to IPv4 (RFC 8215)'),
  special('benchmarking', '2001:2::/48', 'reserved for benchmarks (RFC 5180)'),
  special('link-local', 'fe80::/10', 'link-local'),
  special('site-local', 'fec0::/10', 'site-local (RFC 3879)'),
  special('multicast', 'ff00::/8', 'a multicast address'),
  special('unique-local', 'fc00::/7', 'a unique local address (RFC 4193)'),
  special('reserved', '::/3', 'outside of the IPv6 addresses that are in use (RFC 4291)'),
  special('reserved', '4000::/2', 'outside of the IPv6 addresses that are in use (RFC 4291)'),
  special('reserved', '8000::/1', 'outside of the IPv6 addresses that are in use (RFC 4291)'),
];

/** The special range that `address` is in, if any. */
export function specialRangeOf(address: AddressRange): SpecialRange | undefined {
  // The one prefix below 2000::/3 that is in public use; what is inside is judged as IPv4.
  if (contains(nat64.range, address)) return undefined;
  return specialRanges.find(({ range }) => contains(range, address));
}

/** A way to carry an IPv4 address in an IPv6 address. */
export type Embedding = {
  readonly name: string;
  /** The IPv6 range in which it is done. */
  readonly range: AddressRange;
  /** The position of the first of the 32 bits, from the left. */
  readonly offset: number;
  /** The bits that are turned over before they are the address. */
  readonly mask: bigint;
};

const embedding = (name: string, cidr: string, offset: number, mask = 0n): Embedding =>
  withRange({ name, offset, mask }, cidr);

const nat64 = embedding('NAT64', '64:ff9b::/96', 96);

/** Sources: RFC 4291 2.5.5.1, RFC 2765, RFC 6052, RFC 8215, RFC 3056, RFC 4380 section 4. */
export const embeddings: readonly Embedding[] = [
  embedding('IPv4-compatible', '::/96', 96),
  embedding('IPv4-translated', '::ffff:0:0:0/96', 96),
  nat64,
  embedding('NAT64', '64:ff9b:1::/48', 96),
  embedding('6to4', '2002::/16', 16),
  embedding('Teredo server', '2001::/32', 32),
  embedding('Teredo', '2001::/32', 96, 0xffff_ffffn),
];

/** An IPv4 address that an IPv6 address carries, and how. */
export type Embedded = { readonly embedding: Embedding; readonly address: AddressRange };

/** Every IPv4 address that `address` carries; empty for IPv4 and for most of IPv6. */
export function embeddedIn(address: AddressRange): readonly Embedded[] {
  // `::` and `::1` are addresses of their own, not forms of 0.0.0.0 and 0.0.0.1.
  if (address.bits === 32 || address.base <= 1n) return [];
  return [...embeddings.filter(({ range }) => contains(range, address)), ...isatap(address)].map((how) => ({
    embedding: how,
    address: innerRange(address, how),
  }));
}

/** The IPv4 range that an IPv6 range of this embedding stands for. `2002:a01:200::/40` of 6to4 is `10.1.2.0/24`. */
export function innerRange(outer: AddressRange, { offset, mask }: Embedding): AddressRange {
  const prefix = Math.min(Math.max(outer.prefix - offset, 0), 32);
  const hostBits = BigInt(32 - prefix);
  const value = ((outer.base >> BigInt(128 - 32 - offset)) & 0xffff_ffffn) ^ mask;
  return { bits: 32, base: (value >> hostBits) << hostBits, prefix };
}

/** ISATAP puts the IPv4 address behind `0:5efe` or `200:5efe` under any prefix. Source: RFC 5214 section 6.1. */
function isatap(address: AddressRange): readonly Embedding[] {
  const marker = (address.base >> 32n) & 0xffff_ffffn;
  if (marker !== 0x0000_5efen && marker !== 0x0200_5efen) return [];
  return [{ name: 'ISATAP', range: { bits: 128, base: 0n, prefix: 0 }, offset: 96, mask: 0n }];
}
