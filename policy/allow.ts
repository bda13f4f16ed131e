import { TapwardenError } from '../base/errors.ts';
import { quoteText } from '../base/escape.ts';
import { parseCidr } from './address.ts';
import { parseHostPattern } from './host-name.ts';
import type { Policy, ProxyRule, Refused, Rule } from './model.ts';
import { parsePortRange } from './port.ts';

/**
 * Reads the value of the option `--allow`, `HOST:PORT`, as the rule `allow-<index>`. HOST is a name, `*.` and a name, an
 * IPv4 address or CIDR, or an IPv6 address or CIDR in brackets; PORT is a port or a range such as `8000-8010`.
 *
 * Example: `parseAllow('pypi.org:443', 1)` is
 * `{kind: 'proxy', name: 'allow-1', hosts: ['pypi.org'], addresses: [], ports: [[443, 443]]}`.
 *
 * @throws USAGE_INVALID when `text` has another form
 */
export function parseAllow(text: string, index: number): ProxyRule {
  const match = /^(.+):([^:\]]*)$/s.exec(text);
  const host = match?.[1];
  const portText = match?.[2];
  if (host === undefined || portText === undefined || /^[a-z][a-z0-9+.-]*:\/\//i.test(text)) {
    throw usage(text, 'it is not of the form HOST:PORT', 'Example: --allow pypi.org:443.');
  }
  if (host.includes(':') && !host.startsWith('[')) {
    throw usage(text, 'an IPv6 address needs brackets', 'Example: --allow [2001:db8::1]:443.');
  }
  const ports = parsePortRange(portText);
  if (ports.kind === 'bad') throw usage(text, ports.message, ports.hint);
  const base = { kind: 'proxy', name: `allow-${index}`, ports: [ports.value] } as const;
  const inner = /^\[(.*)\]$/s.exec(host)?.[1];
  if (inner !== undefined || /^[\d./]+$/.test(host)) {
    const address = inner?.includes(':') === false ? notBracketed : parseCidr(inner ?? host);
    if (address.kind === 'bad') throw usage(text, address.message, address.hint);
    return { ...base, hosts: [], addresses: [address.value] };
  }
  const name = parseHostPattern(host);
  if (name.kind === 'bad') throw usage(text, name.message, name.hint);
  return { ...base, hosts: [name.value], addresses: [] };
}

/**
 * The policy with `rules` behind its own.
 *
 * @throws USAGE_INVALID when a name is taken
 */
export function addRules(policy: Policy, rules: readonly Rule[]): Policy {
  const names = new Set(policy.rules.map(({ name }) => name));
  for (const { name } of rules) {
    if (names.has(name)) {
      throw new TapwardenError('USAGE_INVALID', {
        message: `The policy has a rule '${name}' already`,
        hint: 'Give the rule of the policy another name; allow-1, allow-2 and so on belong to --allow.',
        details: { name },
      });
    }
    names.add(name);
  }
  return { ...policy, rules: [...policy.rules, ...rules] };
}

const notBracketed: Refused = { kind: 'bad', message: 'only an IPv6 address stands in brackets' };

function usage(text: string, problem: string, hint: string | undefined): TapwardenError {
  return new TapwardenError('USAGE_INVALID', {
    message: `--allow ${quoteText(text, 200)}: ${problem}`,
    ...(hint === undefined ? {} : { hint }),
    details: { option: 'allow', value: text.slice(0, 200) },
  });
}
