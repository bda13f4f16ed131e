import { quoteText } from '../base/escape.ts';
import { parseCidr } from './address.ts';
import { parseHostPattern } from './host-name.ts';
import {
  bad,
  type Checked,
  type Cidr,
  ok,
  type PortRange,
  type Protocol,
  protocolNumbers,
  type Rule,
} from './model.ts';
import { parsePortRange } from './port.ts';
import type { Problems } from './problem.ts';
import { type Fields, nearest, readMap, readText, readTexts } from './reader.ts';
import type { SourceNode } from './source-tree.ts';

const ruleKeys = ['name', 'hosts', 'addresses', 'ports', 'protocol', 'via'] as const;
const protocols = Object.keys(protocolNumbers) as readonly Protocol[];
const ways = ['proxy', 'direct'] as const;

/** Reads one entry of `rules`. `undefined` when not even its name can be read. */
export function readRule(node: SourceNode, problems: Problems): Rule | undefined {
  const fields = readMap(node, ruleKeys, problems);
  if (fields === undefined) return undefined;
  const name = readName(fields, problems);
  const hosts = fields.get('hosts');
  const addresses = fields.get('addresses');
  const kind = readOptional(fields, 'via', oneOf(ways), problems) ?? 'proxy';
  const destinations = {
    hosts: hosts === undefined ? [] : unique(readTexts(hosts, parseHostPattern, problems)),
    addresses: addresses === undefined ? [] : unique(readTexts(addresses, parseCidr, problems)),
  };
  if (hosts === undefined && addresses === undefined) {
    problems.add(fields.at, { message: "The rule has neither 'hosts' nor 'addresses'", hint: 'Name what it allows.' });
  }
  const protocol = readOptional(fields, 'protocol', oneOf(protocols), problems);
  const ports = readPorts(fields, protocol ?? 'tcp', problems);
  if (kind === 'direct') {
    if (hosts !== undefined) {
      problems.add(hosts.at, {
        message: "A rule with 'via: direct' cannot have hosts",
        hint: 'Without the proxy only addresses can be told apart; name them.',
      });
    }
    checkFamilies(addresses, destinations.addresses, protocol, problems);
    return name === undefined
      ? undefined
      : { kind, name, addresses: destinations.addresses, protocol: protocol ?? 'tcp', ports };
  }
  const protocolNode = fields.get('protocol');
  if (protocolNode !== undefined) {
    problems.add(protocolNode.at, {
      message: "'protocol' needs 'via: direct'",
      hint: 'The proxy carries TCP only; leave the key out, or let the rule go around the proxy.',
    });
  }
  return name === undefined ? undefined : { kind, name, ...destinations, ports };
}

function readName(fields: Fields, problems: Problems): string | undefined {
  const node = fields.get('name');
  if (node !== undefined) return readText(node, parseRuleName, problems, 'text or number');
  problems.add(fields.at, {
    message: "The rule has no 'name'",
    hint: 'Events say by name which rule allowed a request.',
  });
  return undefined;
}

/** Reads the name of a rule: `[a-z0-9][a-z0-9._-]{0,62}`. */
export function parseRuleName(text: string): Checked<string> {
  return /^[a-z0-9][a-z0-9._-]{0,62}$/.test(text)
    ? ok(text)
    : bad(
        `${quoteText(text, 80)} is not a name for a rule`,
        "Write 1 to 63 of a-z, 0-9, '.', '_', '-', beginning with a letter or digit.",
      );
}

function readPorts(fields: Fields, protocol: Protocol, problems: Problems): readonly PortRange[] {
  const node = fields.get('ports');
  if (protocol === 'icmp' || protocol === 'icmpv6') {
    if (node !== undefined) problems.add(node.at, { message: `${protocol} has no ports`, hint: "Leave 'ports' out." });
    return [];
  }
  if (node !== undefined) return readTexts(node, parsePortRange, problems, 'text or number');
  problems.add(fields.at, { message: "The rule has no 'ports'", hint: "For example 'ports: [443]'." });
  return [];
}

function checkFamilies(
  node: SourceNode | undefined,
  addresses: readonly Cidr[],
  protocol: Protocol | undefined,
  problems: Problems,
): void {
  if (node === undefined || (protocol !== 'icmp' && protocol !== 'icmpv6')) return;
  const stray = addresses.find((cidr) => cidr.includes(':') !== (protocol === 'icmpv6'));
  if (stray === undefined) return;
  problems.add(node.at, {
    message: `${protocol} does not go to ${stray}`,
    hint: 'icmp is for IPv4 and icmpv6 for IPv6; write a rule for each.',
  });
}

function readOptional<T extends string>(
  fields: Fields,
  key: string,
  parse: (text: string) => Checked<T>,
  problems: Problems,
): T | undefined {
  const node = fields.get(key);
  return node === undefined ? undefined : readText(node, parse, problems);
}

const oneOf =
  <T extends string>(known: readonly T[]) =>
  (text: string): Checked<T> => {
    const found = known.find((word) => word === text);
    if (found !== undefined) return ok(found);
    const near = nearest(text, known);
    return bad(
      `${quoteText(text, 40)} is not one of ${known.join(', ')}`,
      near === undefined ? undefined : `Did you mean '${near}'?`,
    );
  };

const unique = <T>(values: readonly T[]): readonly T[] => [...new Set(values)];
