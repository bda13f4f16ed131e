import { TapwardenError } from '../base/errors.ts';
import { quoteText } from '../base/escape.ts';
import {
  type AddressRange,
  contains,
  formatAddress,
  formatShortest,
  knownRange,
  parseAddress,
  unmapped,
} from './address.ts';
import type { Policy } from './model.ts';
import { hasPort } from './port.ts';
import { type Embedded, embeddedIn, innerRange, type SpecialName, specialRangeOf } from './special-range.ts';

/** An address that the proxy is about to dial. */
export type AddressRequest = {
  /** One answer of a resolver, or the address of the request itself. */
  readonly address: string;
  readonly port: number;
  /** Every address of the host that dials. A zone id after `%` is ignored. */
  readonly hostAddresses: readonly string[];
};

/** What a forbidden address is: a special range, an address of the host itself, or no address at all. */
export type ForbiddenRange = SpecialName | 'host' | 'malformed';

/** The answer for one address. Texts are safe to print. */
export type AddressDecision =
  | {
      readonly kind: 'allow';
      /** The address to dial, in canonical form; IPv4 where the request had it IPv4-mapped. */
      readonly address: string;
    }
  | {
      readonly kind: 'deny';
      readonly code: 'ADDRESS_FORBIDDEN';
      readonly reason: string;
      readonly hint: string;
      readonly range: ForbiddenRange;
    };

/**
 * Decides whether the proxy may dial an address that an allowed name has, or that was asked for itself.
 *
 * Refused are special ranges (loopback, private, link-local …) and the host's own addresses, also where an IPv6 address
 * merely carries such an IPv4 address. A proxy rule opens one for its ports by naming it: with an entry of `addresses`
 * that lies wholly inside of the special range, or that is exactly the host's address. An entry that is wider, such as
 * `0.0.0.0/0`, opens public addresses only.
 *
 * Example: `checkAddress(policy, {address: '::ffff:127.0.0.1', port: 443, hostAddresses: []})` is `{kind: 'deny',
 * code: 'ADDRESS_FORBIDDEN', range: 'loopback', …}`.
 *
 * @throws NAME_INVALID when one of `hostAddresses` is not an address
 */
export function checkAddress(policy: Policy, { address, port, hostAddresses }: AddressRequest): AddressDecision {
  const hosts = hostAddresses.map(parseHostAddress);
  const parsed = parseAddress(address);
  if (parsed === undefined) {
    return {
      kind: 'deny',
      code: 'ADDRESS_FORBIDDEN',
      reason: `${quoteText(address, 80)} is not an IP address`,
      hint: 'The name has a bad answer in DNS.',
      range: 'malformed',
    };
  }
  const outer = unmapped(parsed);
  for (const embedded of [...embeddedIn(outer), undefined]) {
    const forbidden = forbiddenRangeOf(embedded?.address ?? outer, hosts);
    if (forbidden === undefined || isOpened(listedFor(policy, port), forbidden, outer, embedded)) continue;
    return denial(forbidden, outer, embedded, port);
  }
  return { kind: 'allow', address: formatAddress(outer) };
}

type Forbidden = { readonly name: ForbiddenRange; readonly text: string; readonly range: AddressRange };

function forbiddenRangeOf(address: AddressRange, hosts: readonly AddressRange[]): Forbidden | undefined {
  const special = specialRangeOf(address);
  // All of loopback is the host; a rule may open it as a range.
  if (special?.name === 'loopback') return special;
  const own = hosts.some((host) => contains(host, address));
  return own ? { name: 'host', text: 'an address of the host itself', range: address } : special;
}

/** The addresses that proxied rules list for a port. */
function listedFor(policy: Policy, port: number): readonly AddressRange[] {
  return policy.rules
    .filter((rule) => rule.kind === 'proxy' && hasPort(rule.ports, port))
    .flatMap(({ addresses }) => addresses.map(knownRange));
}

function isOpened(
  listed: readonly AddressRange[],
  forbidden: Forbidden,
  outer: AddressRange,
  embedded: Embedded | undefined,
): boolean {
  const target = embedded?.address ?? outer;
  return listed.some(
    (range) =>
      (contains(range, target) && contains(forbidden.range, range)) ||
      (embedded !== undefined &&
        contains(range, outer) &&
        contains(forbidden.range, innerRange(range, embedded.embedding))),
  );
}

function denial(
  { name, text }: Forbidden,
  outer: AddressRange,
  embedded: Embedded | undefined,
  port: number,
): AddressDecision {
  const target = formatShortest(embedded?.address ?? outer);
  const shown =
    embedded === undefined
      ? target
      : `${formatAddress(outer)} stands for ${target} (${embedded.embedding.name}), which`;
  return {
    kind: 'deny',
    code: 'ADDRESS_FORBIDDEN',
    reason: `${shown} is ${text}`,
    hint: `If that is meant, add a rule with 'addresses: ["${target}"]' and 'ports: [${port}]'.`,
    range: name,
  };
}

function parseHostAddress(text: string): AddressRange {
  const address = parseAddress(text.replace(/%.*$/s, ''));
  if (address !== undefined) return unmapped(address);
  throw new TapwardenError('NAME_INVALID', {
    message: `${quoteText(text, 80)} is not an address of a host`,
    details: { address: text.slice(0, 80) },
  });
}
