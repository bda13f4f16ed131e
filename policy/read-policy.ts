import { quoteText } from '../base/escape.ts';
import { formatAddress, parseAddress, parseAddressRange } from './address.ts';
import { parseHostName } from './host-name.ts';
import { bad, type Checked, ok, type Policy, policyLimits, type Rule, type StaticHost } from './model.ts';
import type { Problems } from './problem.ts';
import { readAnyMap, readList, readMap, readText } from './reader.ts';
import { readRule } from './rule.ts';
import type { SourceNode } from './source-tree.ts';

/** Reads a policy from its tree. The result counts only when no problem was added. */
export function readPolicy(source: SourceNode, problems: Problems): Policy | undefined {
  const fields = readMap(source, ['version', 'resolve', 'rules'], problems);
  if (fields === undefined) return undefined;
  const version = fields.get('version');
  if (version === undefined) {
    problems.add(fields.at, { message: "The key 'version' is missing", hint: "Begin the file with 'version: 1'." });
  } else {
    readText(version, parseVersion, problems, 'text or number');
  }
  const resolve = fields.get('resolve');
  const rules = fields.get('rules');
  if (rules === undefined) {
    problems.add(fields.at, { message: "The key 'rules' is missing", hint: "'rules: []' denies everything." });
  }
  return {
    version: 1,
    resolve: resolve === undefined ? [] : readResolve(resolve, problems),
    rules: rules === undefined ? [] : readRules(rules, problems),
  };
}

const parseVersion = (text: string): Checked<1> =>
  text === '1' ? ok(1) : bad(`Version ${quoteText(text, 40)} is not supported`, "Write 'version: 1'.");

function readRules(node: SourceNode, problems: Problems): readonly Rule[] {
  const items = readList(node, { limit: policyLimits.rules }, problems)?.items ?? [];
  const names = new Map<string, number | undefined>();
  const rules: Rule[] = [];
  for (const item of items) {
    const rule = readRule(item, problems);
    if (rule === undefined) continue;
    const nameAt = (item.kind === 'map' && item.entries.find(({ key }) => key === 'name')?.value.at) || item.at;
    if (names.has(rule.name)) {
      const line = names.get(rule.name);
      problems.add(nameAt, {
        message: `The name ${rule.name} is taken by ${line === undefined ? 'another rule' : `the rule on line ${line}`}`,
        hint: 'Names of rules stand in events, so each must be unique.',
      });
    }
    names.set(rule.name, nameAt.line);
    rules.push(rule);
  }
  const direct = rules.filter(({ kind }) => kind === 'direct');
  if (direct.length > policyLimits.directRules) {
    problems.add(node.at, {
      message: `The policy has ${direct.length} direct rules; ${policyLimits.directRules} are allowed`,
    });
  }
  const pairs = direct.reduce((sum, rule) => sum + rule.addresses.length * Math.max(rule.ports.length, 1), 0);
  if (pairs > policyLimits.directPairs) {
    problems.add(node.at, {
      message: `The direct rules have ${pairs} pairs of address and ports; ${policyLimits.directPairs} are allowed`,
      hint: 'Write wider ranges.',
    });
  }
  return rules;
}

function readResolve(node: SourceNode, problems: Problems): readonly StaticHost[] {
  const entries = readAnyMap(node, ['demo.example'], problems)?.entries ?? [];
  if (entries.length > policyLimits.items) {
    problems.add(node.at, { message: `The map has ${entries.length} entries; ${policyLimits.items} are allowed` });
    return [];
  }
  const hosts = new Set<string>();
  return entries.flatMap(({ key, keyAt, value }) => {
    const host = parseHostName(key);
    const addresses = readAnswers(value, problems);
    if (host.kind === 'bad') {
      problems.add(keyAt, host);
      return [];
    }
    if (hosts.has(host.value)) problems.add(keyAt, { message: `The name ${host.value} stands twice` });
    hosts.add(host.value);
    return [{ host: host.value, addresses }];
  });
}

function readAnswers(node: SourceNode, problems: Problems): readonly string[] {
  if (node.kind === 'scalar') return [readText(node, parseAnswer, problems) ?? []].flat();
  const list = readList(node, { limit: policyLimits.items, emptyHint: 'Name an address.' }, problems);
  return [...new Set((list?.items ?? []).flatMap((item) => readText(item, parseAnswer, problems) ?? []))];
}

function parseAnswer(text: string): Checked<string> {
  const address = parseAddress(text);
  if (address !== undefined) {
    const range = parseAddressRange(text);
    return range.kind === 'ok' ? ok(formatAddress(range.value)) : range;
  }
  return bad(`${quoteText(text, 80)} is not an IP address`, 'Examples: 192.0.2.10, "2001:db8::1".');
}
