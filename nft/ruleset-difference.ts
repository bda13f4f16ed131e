import { escapeText } from '../base/index.ts';
import { familyNames } from './family-names.ts';
import type { RulesetPart } from './ruleset-dump.ts';

/** A part that one of two rulesets has and the other has not. */
export type Difference = { readonly sign: '+' | '-' | '~'; readonly part: RulesetPart };

/**
 * What is missing (`-`), added (`+`), or stands in another place or form (`~`) in a ruleset, against the one that it should
 * be. The order of rules counts, and that of nothing else. Handles do not: a ruleset that was loaded anew is the same.
 */
export function differencesOf(wanted: readonly RulesetPart[], found: readonly RulesetPart[]): readonly Difference[] {
  if (wanted.length === found.length && wanted.every((part, index) => isSame(part, found[index]))) return [];
  const [before, after] = [byPlace(wanted), byPlace(found)];
  const places = new Set([...before.keys(), ...after.keys()]);
  return [...places].flatMap((place) => atPlace(before.get(place) ?? [], after.get(place) ?? []));
}

/**
 * A difference for a person. Examples: `+ rule inet tapwarden_tap0 input "nothing else is reached"`,
 * `- element inet tapwarden_fence execs 0x…`, with the element's key as the kernel has it.
 */
export function differenceText({ sign, part }: Difference): string {
  const { kind, family, table, name, comment, key } = part;
  const words = [sign, kind, familyNames[family] ?? String(family), escapeText(table, 80), escapeText(name, 80)];
  const said =
    kind === 'rule'
      ? [comment === undefined ? '(no comment)' : `"${escapeText(comment, 128)}"`]
      : [key === undefined ? '' : `0x${key}`];
  return [...words, ...said].filter((word) => word !== '').join(' ');
}

function isSame(a: RulesetPart, b: RulesetPart | undefined): boolean {
  if (a === b) return true;
  const isOfOneSet = a.kind === b?.kind && a.family === b.family && a.table === b.table && a.name === b.name;
  return isOfOneSet && a.content === b.content;
}

/** Parts that are compared with each other: the rules of a chain, or all that have one name. */
function byPlace(parts: readonly RulesetPart[]): ReadonlyMap<string, readonly RulesetPart[]> {
  const places = new Map<string, RulesetPart[]>();
  for (const part of parts) {
    // No name has a NUL in it.
    const place = `${part.kind}\0${part.family}\0${part.table}\0${part.name}`;
    const list = places.get(place);
    if (list === undefined) places.set(place, [part]);
    else list.push(part);
  }
  return places;
}

function atPlace(wanted: readonly RulesetPart[], found: readonly RulesetPart[]): readonly Difference[] {
  const rest = [...found];
  const missing = wanted.filter(({ content }) => {
    const at = rest.findIndex((part) => part.content === content);
    if (at !== -1) rest.splice(at, 1);
    return at === -1;
  });
  const [first] = found;
  if (missing.length === 0 && rest.length === 0) {
    const isMoved = first?.kind === 'rule' && wanted.some(({ content }, index) => content !== found[index]?.content);
    return isMoved ? [{ sign: '~', part: first }] : [];
  }
  return [
    ...missing.map((part) => ({ sign: '-', part }) as const),
    ...rest.map((part) => ({ sign: '+', part }) as const),
  ];
}
