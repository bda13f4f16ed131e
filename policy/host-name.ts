import { isIP } from 'node:net';
import { domainToASCII } from 'node:url';
import { quoteText } from '../base/escape.ts';
import { formatAddress, parseAddress, unmapped } from './address.ts';
import { bad, type Checked, ok } from './model.ts';

/** A host as a request names it, in the one form in which it is compared. */
export type Host =
  | { readonly kind: 'name'; readonly name: string }
  /** Canonical text without brackets; an IPv4-mapped IPv6 address is already the IPv4 address. */
  | { readonly kind: 'address'; readonly address: string };

/**
 * Reads the host of a CONNECT target or of a URI. `'PyPI.org.'` gives `{kind: 'name', name: 'pypi.org'}`, `'[2001:DB8::1]'`
 * gives `{kind: 'address', address: '2001:db8::1'}`. What a resolver or a URL parser might take for an address without
 * being one in strict form (`127.1`, `0x7f.1`) is refused, so that all parts of the program see the same host.
 */
export function parseHost(text: string): Checked<Host> {
  const inner = /^\[(.*)\]$/s.exec(text)?.[1];
  if (inner !== undefined && isIP(inner) !== 6) {
    return bad(`${quoteText(text, 80)} has brackets around something that is not an IPv6 address`);
  }
  if (inner === undefined && /[[\]]/.test(text)) return bad(`${quoteText(text, 80)} has an unpaired bracket`);
  const address = parseAddress(inner ?? text);
  if (address !== undefined) return ok({ kind: 'address', address: formatAddress(unmapped(address)) });
  const name = parseHostName(text);
  return name.kind === 'bad' ? name : ok({ kind: 'name', name: name.value });
}

/** Reads an entry of `hosts`: a name, or `*.` and a name. `'*.Example.ORG.'` gives `'*.example.org'`. */
export function parseHostPattern(text: string): Checked<string> {
  if (text === '*' || text === '*.') {
    return bad(`${quoteText(text)} would allow every name`, "Name the hosts, or the domains as '*.example.org'.");
  }
  if (!text.includes('*')) return parseHostName(text);
  if (!text.startsWith('*.') || text.indexOf('*', 1) !== -1) {
    return bad(
      `${quoteText(text, 80)} has a wildcard that is not the whole first label`,
      "'*.example.org' stands for every name below example.org; no other wildcard exists.",
    );
  }
  const name = parseHostName(text.slice(2));
  return name.kind === 'bad' ? name : ok(`*.${name.value}`);
}

/**
 * Reads a name without wildcard and gives it in lower-case ASCII without a final dot. `'Bücher.example.'` gives
 * `'xn--bcher-kva.example'`. Underscores are allowed, because DNS has them. Source: RFC 1123 section 2.1, RFC 5891.
 */
export function parseHostName(text: string): Checked<string> {
  const shown = quoteText(text, 80);
  if (text === '') return bad('The host is empty');
  if (text.length > 1000) return bad(`${shown} is too long for a name`);
  const odd = oddity(text);
  if (odd !== undefined) return bad(`${shown} ${odd[0]}`, odd[1]);
  // domainToASCII reads `0x7f.1` as an address, so ASCII text must not go through it.
  const ascii = /^[\x21-\x7e]*$/.test(text) ? text.toLowerCase() : domainToASCII(text);
  if (ascii === '') return bad(`${shown} is not a name that IDNA allows`);
  const name = ascii.endsWith('.') ? ascii.slice(0, -1) : ascii;
  const labels = name.split('.');
  if (name.length > 253) return bad(`${shown} is longer than 253 characters`);
  for (const label of labels) {
    if (label === '') return bad(`${shown} has an empty label`);
    if (label.length > 63) return bad(`${shown} has a label of more than 63 characters`);
    if (!/^[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?$/.test(label)) {
      return bad(`${shown} has a label that is not letters, digits, '-' inside, and '_'`);
    }
  }
  if (/^(\d+|0x[0-9a-f]*)$/.test(labels.at(-1) ?? '')) {
    return bad(
      `${shown} ends in a number, so it could be taken for an address`,
      'Write IPv4 addresses as four decimal numbers from 0 to 255, without leading zeros.',
    );
  }
  return ok(name);
}

/** What is in `text` besides a name, and what to do about it. */
function oddity(text: string): readonly [problem: string, hint?: string] | undefined {
  const scheme = /^[a-z][a-z0-9+.-]*:\/\/(?:[^/@]*@)?([^/:?#]*)/i.exec(text);
  if (scheme !== null) return ['has a scheme', `Write the name alone: ${quoteText(scheme[1] ?? '', 80)}.`];
  const bare = text
    .replace(/^\[|\](:\d+)?$/g, '')
    .replace(/%.*$/s, '')
    .replace(/\/\d+$/, '');
  if (isIP(text) !== 0 || isIP(bare) !== 0) {
    return text.includes('%')
      ? ['has a zone id', 'A zone means nothing outside one host; leave it out.']
      : ['is an IP address', "Addresses go in 'addresses'."];
  }
  if (text.includes('@')) return ['has user information', 'Write what stands behind the @.'];
  if (/[/?#]/.test(text)) return ['has a path', 'Policies decide by host and port; write the name alone.'];
  if (/:\d*$/.test(text)) return ['has a port', "Write the name alone; the port goes in 'ports'."];
  if (text.includes('*')) return ['has a wildcard', 'Write one exact name.'];
  if (/[\x00-\x20\x7f:%\\[\]]/.test(text)) return ['has a character that no name has'];
  return undefined;
}
