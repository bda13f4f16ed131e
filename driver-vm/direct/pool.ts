import { TapwardenError } from '../../base/index.ts';
import { link } from '../../init/index.ts';
import {
  type AddressRange,
  contains,
  formatAddress,
  formatRange,
  knownRange,
  parseAddressRange,
} from '../../policy/index.ts';

/**
 * Where the address pairs of the veths between slots and the host come from: a /31 of IPv4 and, for direct rules of
 * IPv6, a /127 for each sandbox. Example: `{cidr4: '100.64.0.0/10', cidr6: 'fd74:7761:7265::/48'}`.
 */
export type Pool = { readonly cidr4: string; readonly cidr6: string };

/**
 * Shared address space (RFC 6598), which hosts have on no link of their own unless a provider or a VPN put it there, and
 * a unique local prefix (RFC 4193) with a fixed global id.
 */
export const defaultPool: Pool = { cidr4: '100.64.0.0/10', cidr6: 'fd74:7761:7265::/48' };

/** The two ends of one veth. Example: `{host: '100.64.0.0', slot: '100.64.0.1', prefix: 31}`. */
export type AddressPair = { readonly host: string; readonly slot: string; readonly prefix: 31 | 127 };

/** Addresses that are in use, and by what, for a person: an interface, or `'a route'`. */
export type UsedRange = { readonly range: AddressRange; readonly by: string };

/**
 * Reads the pool from the environment: `TAPWARDEN_POOL4` (default 100.64.0.0/10) and `TAPWARDEN_POOL6` (default
 * fd74:7761:7265::/48).
 *
 * @throws USAGE_INVALID when one of them is not a network of its family that can be given to links
 */
export function poolOf(env: Readonly<Record<string, string | undefined>>): Pool {
  const { TAPWARDEN_POOL4: cidr4, TAPWARDEN_POOL6: cidr6 } = env;
  return {
    cidr4: cidr4 === undefined ? defaultPool.cidr4 : checkedPool('TAPWARDEN_POOL4', cidr4, 32),
    cidr6: cidr6 === undefined ? defaultPool.cidr6 : checkedPool('TAPWARDEN_POOL6', cidr6, 128),
  };
}

/**
 * The lowest pair of the pool that overlaps nothing in use. The first pair of an IPv6 pool is left out: its first
 * address is the subnet-router anycast address of the pool's prefix (RFC 4291, section 2.6.1).
 *
 * @throws POOL_EXHAUSTED when there is none; it names what is in the way
 */
export function choosePair(cidr: string, used: readonly UsedRange[]): AddressPair {
  const pool = knownRange(cidr);
  const inTheWay = used.filter(({ range }) => overlaps(pool, range));
  let base = pool.bits === 128 ? pool.base + 2n : pool.base;
  for (const { range } of inTheWay.toSorted((a, b) => Number(a.range.base > b.range.base) - 0.5)) {
    if (range.base >= base + 2n) break;
    const next = endOf(range) + (endOf(range) & 1n);
    if (next > base) base = next;
  }
  if (base >= endOf(pool)) throw exhausted(cidr, inTheWay);
  return {
    host: formatAddress({ ...pool, base }),
    slot: formatAddress({ ...pool, base: base + 1n }),
    prefix: pool.bits === 32 ? 31 : 127,
  };
}

/** Whether two CIDR ranges share an address: one of them holds the other, or they are apart. */
export function overlaps(a: AddressRange, b: AddressRange): boolean {
  return contains(a, b) || contains(b, a);
}

function exhausted(cidr: string, inTheWay: readonly UsedRange[]): TapwardenError {
  const [variable, example] = cidr.includes(':')
    ? ['TAPWARDEN_POOL6', 'fd12:3456:789a::/64']
    : ['TAPWARDEN_POOL4', '10.99.0.0/16'];
  const used = inTheWay.map(({ range, by }) => `${formatRange(range)} (${by})`);
  const shown = used.length > 4 ? `${used.slice(0, 4).join(', ')} and ${used.length - 4} more` : used.join(', ');
  return new TapwardenError('POOL_EXHAUSTED', {
    message: `No address pair of the pool ${cidr} is free for direct rules: the host uses ${shown}`,
    hint: `Name a range that the host does not use, as in ${variable}=${example}.`,
    details: { pool: cidr, used: used.slice(0, 100) },
  });
}

/** What a pool may not touch: addresses that no link can have, and the network inside of every slot. */
const forbidden: readonly string[] = [
  '0.0.0.0/8',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '224.0.0.0/3',
  '::/8',
  'fe80::/10',
  'ff00::/8',
  `${link.hostIpv4.replace(/\d+$/, '0')}/${link.ipv4PrefixLength}`,
  `${link.hostIpv6.replace(/[^:]+$/, '')}/${link.ipv6PrefixLength}`,
];

function checkedPool(variable: string, text: string, bits: 32 | 128): string {
  const checked = parseAddressRange(text);
  if (checked.kind === 'bad') throw badPool(variable, checked.message, checked.hint);
  const range = checked.value;
  const cidr = formatRange(range);
  if (range.bits !== bits) throw badPool(variable, `${cidr} is not an IPv${bits === 32 ? 4 : 6} network`);
  if (range.prefix > bits - 2) throw badPool(variable, `${cidr} has no room for two pairs of addresses`);
  const touched = forbidden.find((other) => overlaps(knownRange(other), range));
  if (touched !== undefined) throw badPool(variable, `${cidr} overlaps ${touched}, which is not to be had`);
  return cidr;
}

function badPool(variable: string, problem: string, hint?: string): TapwardenError {
  return new TapwardenError('USAGE_INVALID', {
    message: `${variable} must be a network for the links of direct rules: ${problem}`,
    ...(hint === undefined ? {} : { hint }),
  });
}

/** The address after the last one. */
function endOf(range: AddressRange): bigint {
  return range.base + (1n << BigInt(range.bits - range.prefix));
}
