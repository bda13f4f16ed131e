import { isIP, isIPv4 } from 'node:net';
import ipaddr from 'ipaddr.js';
import { quoteText, TapwardenError } from '../base/index.ts';

/**
 * Returns `value` if it is an integer from `min` to `max`; `where` names it in the error, for example
 * `'destination.port'`.
 *
 * @throws EVENT_INVALID when it is not
 */
export function checkedInteger(value: number, where: string, min = 0, max = Number.MAX_SAFE_INTEGER): number {
  if (Number.isSafeInteger(value) && value >= min && value <= max) return value;
  throw invalid(where, `must be an integer from ${min} to ${max}`, String(value));
}

/**
 * Returns an address in its shortest form. The kernel prints IPv6 in full, people and policies do not, and a search
 * for an address must find it in either log. Example: `2001:0db8:0000:0000:0000:0000:0000:0001` is `2001:db8::1`.
 * Source: RFC 5952.
 *
 * @throws EVENT_INVALID when it is no IPv4 or IPv6 address, or has a zone
 */
export function checkedIp(value: string, where: string): string {
  // A dotted quad that is valid has no other form.
  if (isIPv4(value)) return value;
  if (isIP(value) === 0 || value.includes('%')) throw invalid(where, 'must be an IPv4 or IPv6 address', value);
  const address = ipaddr.parse(value);
  // An IPv4-mapped address keeps its dotted part, by which a person finds it.
  if (address instanceof ipaddr.IPv6 && address.isIPv4MappedAddress()) return `::ffff:${address.toIPv4Address()}`;
  return address.toString();
}

/**
 * Returns `value` if all of it matches `pattern`, which `form` puts in words.
 *
 * @throws EVENT_INVALID when it does not
 */
export function checkedText(value: string, where: string, pattern: RegExp, form: string): string {
  if (pattern.test(value)) return value;
  throw invalid(where, `must be ${form}`, value);
}

function invalid(where: string, rule: string, value: string): TapwardenError {
  return new TapwardenError('EVENT_INVALID', {
    message: `No event can be made: ${where} ${rule}: current value is ${quoteText(value, 100)}`,
    hint: 'The record that it was made from is damaged or forged; it must be counted as lost.',
    details: { where },
  });
}
