import { isDeepStrictEqual } from 'node:util';
import { type Policy, policyLimits } from './model.ts';
import { collectProblems } from './problem.ts';
import { readPolicy } from './read-policy.ts';
import { childPath, type SourceNode } from './source-tree.ts';

/**
 * Checks a policy that came from another process or from the host, and returns it.
 *
 * Nothing is taken on trust: the data is read again by the readers of policy files, and must be exactly what they make
 * of it, so that a surplus key, a name in upper case or a CIDR with host bits set is refused like any other mistake.
 * Example: `parsePolicyModel(JSON.parse(text))`.
 *
 * @throws POLICY_INVALID when `value` is not a canonical {@link Policy}; `details` as in `parsePolicy`, without line and column
 */
export function parsePolicyModel(value: unknown): Policy {
  const problems = collectProblems('policy from another process');
  const policy = problems.finish(readPolicy(nodeOf(fileFormOf(value), ''), problems));
  if (!isDeepStrictEqual(policy, value)) {
    problems.add(
      { path: '' },
      { message: 'The data is not a policy in canonical form', hint: 'Send what parsePolicy returned, unchanged.' },
    );
  }
  return problems.finish(policy);
}

/** Rewrites model data as the data of a policy file. It may drop or bend what is odd: the comparison finds that. */
function fileFormOf(value: unknown): unknown {
  if (!isRecord(value)) return value;
  const { version, resolve, rules } = value;
  return {
    version,
    resolve: isList(resolve, policyLimits.items) ? new Map(resolve.map(answersOf)) : undefined,
    rules: isList(rules, policyLimits.rules) ? rules.map(ruleOf) : rules,
  };
}

const answersOf = (entry: unknown): readonly [string, unknown] =>
  isRecord(entry) && typeof entry['host'] === 'string' ? [entry['host'], entry['addresses']] : ['', entry];

function ruleOf(rule: unknown): unknown {
  if (!isRecord(rule)) return rule;
  const { kind, name, hosts, addresses, ports, protocol } = rule;
  return {
    name,
    via: kind,
    hosts: isEmpty(hosts) ? undefined : hosts,
    addresses: isEmpty(addresses) ? undefined : addresses,
    protocol,
    ports: isEmpty(ports) ? undefined : isList(ports, policyLimits.items) ? ports.map(portsOf) : ports,
  };
}

const portsOf = (range: unknown): unknown =>
  Array.isArray(range) && range.length === 2 && range.every((port) => typeof port === 'number')
    ? range.join('-')
    : range;

/** Maps, lists and their items: `rules[0].ports[0]` is four levels below the top, and nothing is deeper. */
const maxDepth = 5;

/** The tree of plain data. What is deeper than any policy is cut off, and so fails to be read. */
function nodeOf(value: unknown, path: string, depth = 0): SourceNode {
  const at = { path };
  if (depth > maxDepth) return { kind: 'scalar', at, type: 'other', text: 'too deep' };
  if (Array.isArray(value)) {
    return { kind: 'list', at, items: value.map((item, index) => nodeOf(item, `${path}[${index}]`, depth + 1)) };
  }
  if (value instanceof Map || isRecord(value)) {
    const pairs: readonly (readonly [string, unknown])[] =
      value instanceof Map ? [...value.entries()].map(([key, item]) => [String(key), item]) : Object.entries(value);
    const entries = pairs
      .filter(([, item]) => item !== undefined)
      .map(([key, item]) => {
        const keyAt = { path: childPath(path, key) };
        return { key, keyAt, value: nodeOf(item, keyAt.path, depth + 1) };
      });
    return { kind: 'map', at, entries };
  }
  const type = typeof value === 'string' ? 'string' : typeof value === 'number' ? 'number' : 'other';
  return { kind: 'scalar', at, type, text: String(value) };
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  value !== null && typeof value === 'object' && !Array.isArray(value);

const isList = (value: unknown, limit: number): value is readonly unknown[] =>
  Array.isArray(value) && value.length <= limit;

const isEmpty = (value: unknown): boolean => Array.isArray(value) && value.length === 0;
