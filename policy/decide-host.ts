import { quoteText } from '../base/escape.ts';
import { type AddressRange, contains, knownRange, parseAddress } from './address.ts';
import { type Host, parseHost } from './host-name.ts';
import type { Policy, PortRange, ProxyRule } from './model.ts';
import { formatPorts, hasPort } from './port.ts';

/** The code of a refused request. Stable: it stands in events. */
export type HostDenyCode = 'HOST_NOT_ALLOWED' | 'PORT_NOT_ALLOWED' | 'ADDRESS_NOT_ALLOWED' | 'HOST_MALFORMED';

/** What a request asks for: a host as CONNECT or a URI names it, brackets included or not, and a port. */
export type HostRequest = { readonly host: string; readonly port: number };

/** The answer to a request. Texts are safe to print. */
export type HostDecision =
  | {
      readonly kind: 'allow';
      /** The name of the first rule that allows it. */
      readonly rule: string;
      /** The host as it was compared. Resolve and dial this and not the text of the request. */
      readonly host: Host;
    }
  | {
      readonly kind: 'deny';
      readonly code: HostDenyCode;
      /** Why, as a sentence without full stop. */
      readonly reason: string;
      /** What to change, as a sentence. */
      readonly hint: string;
    };

/**
 * Decides a proxy request by its host and port. A name is compared with `hosts`, an address with `addresses`, of rules
 * that go through the proxy. The addresses that a name has are not looked at: that is `checkAddress`, for each of them.
 *
 * Example: `decideHost(policy, {host: 'PyPI.org', port: 443})` is `{kind: 'allow', rule: 'packages', host: {kind: 'name',
 * name: 'pypi.org'}}`.
 */
export function decideHost(policy: Policy, { host, port }: HostRequest): HostDecision {
  const parsed = parseHost(host);
  if (parsed.kind === 'bad') {
    return {
      kind: 'deny',
      code: 'HOST_MALFORMED',
      reason: parsed.message,
      hint: 'Ask for a DNS name, or for an IP address in its usual form.',
    };
  }
  const target = parsed.value;
  const matching = policy.rules.filter((rule): rule is ProxyRule => rule.kind === 'proxy' && matches(rule, target));
  const rule = matching.find(({ ports }) => hasPort(ports, port));
  if (rule !== undefined) return { kind: 'allow', rule: rule.name, host: target };
  return matching.length > 0 ? denyPort(target, port, matching) : denyTarget(policy, target, port);
}

/** Says whether a name stands for `host`: itself, or as `*.example.org` anything below `example.org`. */
export function matchesPattern(pattern: string, host: string): boolean {
  return pattern.startsWith('*.')
    ? host.length > pattern.length - 1 && host.endsWith(pattern.slice(1))
    : pattern === host;
}

/** The answers that the policy itself gives for `host`, or `undefined` when it must be resolved. */
export function resolveStatic(policy: Policy, host: string): readonly string[] | undefined {
  const parsed = parseHost(host);
  if (parsed.kind === 'bad' || parsed.value.kind === 'address') return undefined;
  const { name } = parsed.value;
  return policy.resolve.find((entry) => entry.host === name)?.addresses;
}

/** The text of a host. */
export function textOf(host: Host): string {
  return host.kind === 'name' ? host.name : host.address;
}

function matches(rule: ProxyRule, host: Host): boolean {
  if (host.kind === 'name') return rule.hosts.some((pattern) => matchesPattern(pattern, host.name));
  const address = parseAddress(host.address);
  return address !== undefined && rule.addresses.some((cidr) => contains(knownRange(cidr), address));
}

function denyPort(host: Host, port: number, matching: readonly ProxyRule[]): HostDecision {
  const shown = matching.slice(0, 3).map(({ name, ports }) => `rule '${name}' allows ${shownPorts(ports)}`);
  const [first] = matching;
  return {
    kind: 'deny',
    code: 'PORT_NOT_ALLOWED',
    reason: `${textOf(host)} is not allowed on port ${port}; ${shown.join(', ')}`,
    hint: `Use an allowed port, or add ${port} to 'ports' of the rule '${first?.name ?? ''}'.`,
  };
}

const shownPorts = (ports: readonly PortRange[]): string =>
  ports.length > 10 ? `${formatPorts(ports.slice(0, 10))}, …` : formatPorts(ports);

function denyTarget(policy: Policy, host: Host, port: number): HostDecision {
  if (host.kind === 'name') {
    return {
      kind: 'deny',
      code: 'HOST_NOT_ALLOWED',
      reason: `No rule allows the host ${quoteText(host.name, 300)}`,
      hint: hintForName(policy, host.name, port),
    };
  }
  const direct = policy.rules.find((rule) => rule.kind === 'direct' && coversAddress(rule.addresses, host.address));
  return {
    kind: 'deny',
    code: 'ADDRESS_NOT_ALLOWED',
    reason: `No rule for the proxy allows the address ${host.address}`,
    hint:
      direct === undefined
        ? `Ask for the host by name, or add a rule with 'addresses: ["${host.address}"]' and 'ports: [${port}]'.`
        : `The rule '${direct.name}' allows it without the proxy only; connect directly, or add a rule without 'via: direct'.`,
  };
}

function hintForName(policy: Policy, name: string, port: number): string {
  const wildcard = policy.rules
    .flatMap((rule) => (rule.kind === 'proxy' ? rule.hosts : []))
    .find((pattern) => pattern === `*.${name}`);
  return wildcard === undefined
    ? `Add a rule with 'hosts: [${name}]' and 'ports: [${port}]'.`
    : `'${wildcard}' stands for the names below ${name} and not for ${name} itself; add it to 'hosts' too.`;
}

function coversAddress(addresses: readonly string[], text: string): boolean {
  const address: AddressRange | undefined = parseAddress(text);
  return address !== undefined && addresses.some((cidr) => contains(knownRange(cidr), address));
}
