import { isIP, isIPv6 } from 'node:net';
import { directProtocols } from './advice.ts';

/** What would allow what was refused. */
export type Suggestion = {
  /** A rule of a policy, as an entry of `rules` in YAML on one line. */
  readonly rule: string;
  /** The value of `--allow` that does the same, where there is such an option for it. */
  readonly allow?: string;
};

/** Ports, each once, or ranges of them: `[443]`, `['8000-8010']`. */
export type Ports = readonly (number | string)[];

/**
 * The rule that would let a request through the proxy. `undefined` where the host is neither a name nor an address that
 * a policy may hold: it is a word of the workload, and no text of it may become something else in a policy or a shell.
 *
 * Example: `allowRequest('pypi.org', [443])` is `{rule: '- {name: pypi.org-443, hosts: ["pypi.org"], ports: [443]}',
 * allow: 'pypi.org:443'}`.
 */
export function allowRequest(host: string, ports: Ports): Suggestion | undefined {
  if (ports.length === 0) return undefined;
  if (isAddress(host)) {
    return withAllow(`- {name: ${nameOf(host, ports)}, addresses: ["${host}"], ports: ${listOf(ports)}}`, host, ports);
  }
  const name = host.toLowerCase().replace(/\.$/, '');
  if (!isHostName(name)) return undefined;
  return withAllow(`- {name: ${nameOf(name, ports)}, hosts: ["${name}"], ports: ${listOf(ports)}}`, name, ports);
}

/**
 * The rule that would let packets past the proxy; `undefined` for a protocol that no rule can name. `ports` is empty for
 * a protocol without ports.
 */
export function allowDirect(protocol: number, ip: string, ports: Ports): Suggestion | undefined {
  const name = directProtocols.get(protocol);
  if (name === undefined || !isAddress(ip)) return undefined;
  const hasPorts = !name.startsWith('icmp');
  if (hasPorts === (ports.length === 0)) return undefined;
  const list = hasPorts ? `, ports: ${listOf(ports)}` : '';
  return {
    rule: `- {name: ${nameOf(`${name}-${ip}`, ports)}, via: direct, protocol: ${name}, addresses: ["${ip}"]${list}}`,
  };
}

/** An address that a policy may hold: it wants IPv4 where IPv6 only carries it. */
function isAddress(text: string): boolean {
  return isIP(text) !== 0 && !text.includes('%') && !/^(?:::|0*:)+ffff:/i.test(text);
}

function withAllow(rule: string, host: string, ports: Ports): Suggestion {
  const [port] = ports;
  return ports.length === 1 ? { rule, allow: `${isIPv6(host) ? `[${host}]` : host}:${port}` } : { rule };
}

/** Source: RFC 1123 section 2.1; underscores, because DNS has them. The last label of a name is no number. */
function isHostName(text: string): boolean {
  const labels = text.split('.');
  const isLabel = (label: string): boolean => /^(?!-)[a-z0-9_-]{1,63}(?<!-)$/.test(label);
  return text.length <= 253 && labels.every(isLabel) && !/^(?:0x[0-9a-f]*|\d+)$/.test(labels.at(-1) ?? '');
}

/**
 * A name for a rule, of what it allows, so that rules for other things have others: `[a-z0-9][a-z0-9._-]{0,62}`, and no
 * word that YAML reads as something else.
 */
function nameOf(text: string, [port]: Ports): string {
  const name = text.toLowerCase().replace(/[^a-z0-9._-]/g, '-');
  const ending = port === undefined ? '' : `-${port}`;
  return `${/^[a-z]/.test(name) ? '' : 'to-'}${name}`.slice(0, 63 - ending.length) + ending;
}

function listOf(ports: Ports): string {
  return `[${ports.map((port) => (typeof port === 'number' ? port : `"${port}"`)).join(', ')}]`;
}
