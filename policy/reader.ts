import { escapeText, quoteText } from '../base/escape.ts';
import { type Checked, policyLimits } from './model.ts';
import type { Place, Problems } from './problem.ts';
import type { SourceList, SourceMap, SourceNode, SourceRefused } from './source-tree.ts';

/** The values of a map by key, all keys known, and where the map stands. */
export type Fields = { readonly at: Place; readonly get: (key: string) => SourceNode | undefined };

/** Reads a map whose keys are among `known`; each other key is a problem that names the nearest known one. */
export function readMap(node: SourceNode, known: readonly string[], problems: Problems): Fields | undefined {
  const map = readAnyMap(node, known, problems);
  if (map === undefined) return undefined;
  const values = new Map(map.entries.map(({ key, value }) => [key, value]));
  for (const { key, keyAt } of map.entries) {
    if (known.includes(key)) continue;
    const near = nearest(key, known);
    problems.add(keyAt, {
      message: `The key ${quoteText(key, 80)} is unknown`,
      hint: near === undefined ? `Known keys: ${known.join(', ')}.` : `Did you mean '${near}'?`,
    });
  }
  return { at: node.at, get: (key) => values.get(key) };
}

/** Reads a map with free keys; `examples` are keys for the hint. */
export function readAnyMap(node: SourceNode, examples: readonly string[], problems: Problems): SourceMap | undefined {
  if (node.kind === 'map') return node;
  if (node.kind === 'refused') return undefined;
  problems.add(node.at, {
    message: `Here must stand a map, not ${describe(node)}`,
    hint: `Write keys and values, such as '${examples[0]}: …'.`,
  });
  return undefined;
}

/** Reads a list of at most `limit` items; an empty one is a problem unless `emptyHint` is `undefined`. */
export function readList(
  node: SourceNode,
  { limit, emptyHint }: { readonly limit: number; readonly emptyHint?: string },
  problems: Problems,
): SourceList | undefined {
  if (node.kind === 'refused') return undefined;
  if (node.kind !== 'list') {
    problems.add(node.at, {
      message: `Here must stand a list, not ${describe(node)}`,
      ...(node.kind === 'scalar' && node.text !== ''
        ? { hint: `Write it in brackets: [${escapeText(node.text, 80)}].` }
        : {}),
    });
    return undefined;
  }
  if (node.items.length > limit) {
    problems.add(node.at, { message: `The list has ${node.items.length} entries; ${limit} are allowed` });
    return undefined;
  }
  if (node.items.length === 0 && emptyHint !== undefined) {
    problems.add(node.at, { message: 'The list is empty', hint: emptyHint });
    return undefined;
  }
  return node;
}

/** Reads a non-empty list of texts, each through `parse`. What is left out of the result is among the problems. */
export function readTexts<T>(
  node: SourceNode,
  parse: (text: string) => Checked<T>,
  problems: Problems,
  accept: 'text' | 'text or number' = 'text',
): readonly T[] {
  const list = readList(node, { limit: policyLimits.items, emptyHint: 'Name at least one.' }, problems);
  const values: T[] = [];
  for (const item of list?.items ?? []) {
    const value = readText(item, parse, problems, accept);
    if (value !== undefined) values.push(value);
  }
  return values;
}

/** Reads one text through `parse`; numbers count as text only where `accept` says so. */
export function readText<T>(
  node: SourceNode,
  parse: (text: string) => Checked<T>,
  problems: Problems,
  accept: 'text' | 'text or number' = 'text',
): T | undefined {
  if (node.kind === 'refused') return undefined;
  if (node.kind !== 'scalar' || node.type === 'other' || (node.type === 'number' && accept === 'text')) {
    problems.add(node.at, {
      message: `Here must stand ${accept === 'text' ? 'text' : 'a number or text'}, not ${describe(node)}`,
      ...(node.kind === 'list' ? {} : { hint: 'Write it in quotes if it is meant as text.' }),
    });
    return undefined;
  }
  const checked = parse(node.text);
  if (checked.kind === 'ok') return checked.value;
  problems.add(node.at, checked);
  return undefined;
}

/** The entry of `known` that `word` is a likely slip for, or `undefined`. Example: `'host'` is near `'hosts'`. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  if (word.length > 32) return undefined;
  const lower = word.toLowerCase();
  const [best] = known
    .map((name) => ({ name, distance: distance(lower, name) }))
    .toSorted((a, b) => a.distance - b.distance);
  return best !== undefined && best.distance <= Math.ceil(best.name.length / 3) ? best.name : undefined;
}

/** Letters to insert, delete or replace, counted by Levenshtein's table, one row at a time. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (const [i, letter] of [...a].entries()) {
    const next = [i + 1];
    for (const [j, other] of [...b].entries()) {
      const replaced = (row[j] ?? 0) + (letter === other ? 0 : 1);
      next.push(Math.min(replaced, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}

function describe(node: Exclude<SourceNode, SourceRefused>): string {
  if (node.kind !== 'scalar') return `a ${node.kind}`;
  if (node.type === 'other') return node.text === '' ? 'nothing' : quoteText(node.text, 40);
  return `${node.type === 'number' ? 'the number' : 'the text'} ${quoteText(node.text, 40)}`;
}
