import { escapeText, TapwardenError } from '../base/index.ts';
import type { Chain, Hook, NftSet, Rule, Ruleset, TableName } from './model.ts';

/**
 * Checks a ruleset against what nft and the kernel take, and against the ways in which a fence fails open:
 *
 * - names start with a letter or `_` (nft takes no leading digit) and are not longer than the kernel's limits;
 * - comments and log prefixes are at most 128 and 127 bytes and hold no quote (nft 1.0.6 has no escape for one), control
 *   character or newline (nft accepts a newline inside quotes);
 * - every chain, set and counter that a rule names exists; chains with a hook are not jumped to;
 * - a rule closes every brace that it opens and no other, so that it cannot end its chain and begin another;
 * - no rule that changes a set carries accept, drop or reject: when the set cannot be updated the rule breaks off, and
 *   the verdict with it.
 *
 * Source: nft(8); NF_LOG_PREFIXLEN (128 with the final NUL) in include/net/netfilter/nf_log.h; NFT_USERDATA_MAXLEN in
 * include/uapi/linux/netfilter/nf_tables.h.
 *
 * @throws RULESET_INVALID naming the place, for example `chain output, rule 3`
 */
export function validateRuleset(ruleset: Ruleset): void {
  const { table, chains, sets, counters } = ruleset;
  checkName(table.name, 'table');
  checkUnique([...chains.map((chain) => chain.name)], 'chain');
  checkUnique([...sets.map((set) => set.name)], 'set');
  checkUnique(counters, 'counter');
  for (const name of counters) checkName(name, 'counter');
  for (const set of sets) checkSet(set);
  const known: References = {
    chain: new Set(chains.filter((chain) => chain.hook === undefined).map((chain) => chain.name)),
    set: new Set(sets.map((set) => set.name)),
    counter: new Set(counters),
  };
  for (const chain of chains) checkChain(chain, known);
}

/**
 * Checks the elements that are to be added to a set of a table, or deleted from it.
 *
 * @throws RULESET_INVALID naming the place
 */
export function validateElements(table: TableName, set: string, elements: readonly string[]): void {
  checkName(table.name, 'table');
  checkName(set, 'set');
  for (const element of elements) checkElement(element, `set ${set}`);
}

type References = Readonly<Record<'chain' | 'set' | 'counter', ReadonlySet<string>>>;

const namePattern = /^[A-Za-z_][A-Za-z0-9_-]{0,62}$/;
const interfacePattern = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}$/;
const maxCommentBytes = 128;
const maxPrefixBytes = 127;
const maxBodyBytes = 4096;

function checkChain(chain: Chain, known: References): void {
  checkName(chain.name, 'chain');
  if (chain.hook !== undefined) checkHook(chain.name, chain.hook);
  chain.rules.forEach((rule, index) => {
    checkRule(rule, `chain ${chain.name}, rule ${index + 1}`, known);
  });
}

function checkHook(chain: string, hook: Hook): void {
  const where = `chain ${chain}`;
  if ((hook.hook === 'ingress') !== (hook.device !== undefined)) {
    fail(where, 'a device goes with the ingress hook, and only with it');
  }
  if (hook.device !== undefined && !interfacePattern.test(hook.device)) {
    fail(where, `'${escapeText(hook.device)}' is not an interface name`);
  }
}

function checkRule(rule: Rule, where: string, known: References): void {
  const { body, comment } = rule;
  if (body.trim() === '' || Buffer.byteLength(body) > maxBodyBytes) fail(where, 'the rule is empty or too long');
  if (/[\u0000-\u001f\u007f;#\\]/.test(body)) fail(where, 'the rule holds a control character, ";", "#" or "\\"');
  if ((body.match(/"/g)?.length ?? 0) % 2 !== 0) fail(where, 'the rule has an unbalanced quote');
  checkBraces(body.replace(/"[^"]*"/g, ''), where);
  if (comment.trim() === '') fail(where, 'the rule has no comment that says where it comes from');
  checkQuoted(comment, maxCommentBytes, `${where}, comment`);
  const prefix = /\bprefix "([^"]*)"/.exec(body)?.[1];
  if (prefix !== undefined) checkQuoted(prefix, maxPrefixBytes, `${where}, log prefix`);
  const bare = body.replace(/"[^"]*"/g, '""');
  for (const match of bare.matchAll(/\b(?:jump|goto) (\S+)/g)) checkKnown(match[1], 'chain', known, where);
  for (const match of bare.matchAll(/@([A-Za-z_]\S*)/g)) checkKnown(match[1], 'set', known, where);
  for (const match of bare.matchAll(/\bcounter name (\S+)/g)) checkKnown(match[1], 'counter', known, where);
  if (/\b(?:add|update) @/.test(bare) && /\b(?:accept|drop|reject)\b/.test(bare)) {
    fail(where, 'a rule that changes a set must carry no verdict: when the set cannot be updated, both are skipped');
  }
}

function checkBraces(bare: string, where: string): void {
  let depth = 0;
  for (const [character] of bare.matchAll(/[{}]/g)) {
    depth += character === '{' ? 1 : -1;
    if (depth < 0) break;
  }
  if (depth !== 0) fail(where, 'the rule has an unbalanced brace');
}

function checkSet(set: NftSet): void {
  checkName(set.name, 'set');
  const where = `set ${set.name}`;
  if (!/^[a-z0-9_]+( \. [a-z0-9_]+)*$/.test(set.type)) fail(where, `'${escapeText(set.type)}' is not a set type`);
  if (set.flags?.includes('dynamic') === true && set.size === undefined) {
    fail(where, 'a set that packets fill needs a size');
  }
  for (const element of set.elements ?? []) checkElement(element, where);
}

function checkElement(element: string, where: string): void {
  if (!/^[A-Za-z0-9_.:/" -]+$/.test(element)) fail(where, `'${escapeText(element)}' is not an element`);
}

function checkKnown(name: string | undefined, kind: keyof References, known: References, where: string): void {
  if (name === undefined || !known[kind].has(name)) {
    fail(where, `the ${kind} '${escapeText(name ?? '')}' does not exist`);
  }
}

function checkUnique(names: readonly string[], what: string): void {
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) fail(`${what} ${twice}`, 'the name is used twice');
}

function checkName(name: string, what: string): void {
  if (!namePattern.test(name)) {
    fail(`${what} '${escapeText(name, 80)}'`, 'a name is a letter or "_", then up to 62 letters, digits, "_" or "-"');
  }
}

function checkQuoted(text: string, maxBytes: number, where: string): void {
  const bytes = Buffer.byteLength(text);
  if (bytes > maxBytes) fail(where, `${bytes} bytes are too many, ${maxBytes} are allowed`);
  if (/["\\\u0000-\u001f\u007f]/.test(text)) fail(where, 'quotes, backslashes and control characters are not allowed');
}

function fail(where: string, problem: string): never {
  throw new TapwardenError('RULESET_INVALID', {
    message: `The ruleset is invalid at ${where}: ${problem}`,
    hint: 'nothing was loaded.',
    details: { where, problem },
  });
}
