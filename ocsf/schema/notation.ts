import type { SchemaVersion } from './versions.ts';

/** How much a class or an object needs an attribute. */
export type Requirement = 'required' | 'recommended' | 'optional';

/** One attribute in the line of a class, object or profile, parsed. */
export type AttributeNote = {
  readonly name: string;
  readonly requirement: Requirement;
  /** The type, where the line says another than the dictionary. */
  readonly type?: string;
};

/** Attributes that stand together: at least one of them must be there, or exactly one. */
export type Constraint = { readonly kind: 'at_least_one' | 'just_one'; readonly names: readonly string[] };

/** A line, parsed for one version. */
export type Notes = { readonly attributes: readonly AttributeNote[]; readonly constraints: readonly Constraint[] };

/**
 * Parses the line of a class, an object or a profile, as far as it holds at `version`. Its words are parted by white
 * space:
 *
 * | word | meaning |
 * |---|---|
 * | `name` `?name` `!name` | an attribute: optional, recommended, required |
 * | `name:type` | of another type than the dictionary says |
 * | `a\|b\|c` | at least one of these attributes must be there |
 * | `a^b^c` | exactly one of them |
 * | `…+1.9` `…-1.9` | the word holds from that version on, or up to the one before |
 *
 * Example: `ip|uid ?ip !type_id` has two attributes and one constraint.
 */
export function parseNotes(line: string, version: SchemaVersion): Notes {
  const words = wordsOf(line).filter((word) => holdsAt(word, version));
  const bare = words.map((word) => word.replace(/[+-]\d+\.\d+$/, ''));
  return {
    attributes: bare.filter((word) => !/[|^]/.test(word)).map(parseAttribute),
    constraints: bare.filter((word) => /[|^]/.test(word)).map(parseConstraint),
  };
}

/** One value of an enum: its id, its caption where we know it. */
export type EnumValue = { readonly id: number | string; readonly caption?: string };

/**
 * Parses the values of an enum as far as they hold at `version`. Values are parted by `|`; each is an id, a space and
 * its caption, for example `0 Unknown | 1 Low`. `10..40` are ids whose captions we do not know; `7+1.8 Vector` holds
 * from 1.8.0 on.
 */
export function parseEnum(values: string, version: SchemaVersion): readonly EnumValue[] {
  return values.split('|').flatMap((text) => {
    const [, id = '', caption] = /^\s*(\S+)(?:\s+(.*?))?\s*$/s.exec(text) ?? [];
    if (!holdsAt(id, version)) return [];
    const bare = id.replace(/\+.*$/, '');
    const range = /^(\d+)\.\.(\d+)$/.exec(bare);
    if (range !== null) return numbersBetween(Number(range[1]), Number(range[2])).map((number) => ({ id: number }));
    const value = /^\d+$/.test(bare) ? Number(bare) : bare;
    return [caption === undefined ? { id: value } : { id: value, caption }];
  });
}

/** The words of a line. */
export function wordsOf(line: string): readonly string[] {
  return line.split(/\s+/).filter((word) => word !== '');
}

function holdsAt(word: string, version: SchemaVersion): boolean {
  const found = /([+-])(\d+\.\d+)$/.exec(word);
  if (found === null) return true;
  // Not by the locale's order of numbers, which takes longer to load than all of the schema takes to read.
  const since = releaseOf(version) >= releaseOf(found[2] ?? '');
  return found[1] === '+' ? since : !since;
}

/** `1.8.0` as 1008. */
function releaseOf(version: string): number {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return 1000 * major + minor;
}

function parseAttribute(word: string): AttributeNote {
  const [, mark = '', name = '', type] = /^([!?]?)([a-z0-9_]+)(?::(\S+))?$/.exec(word) ?? [];
  const requirement = mark === '!' ? 'required' : mark === '?' ? 'recommended' : 'optional';
  return type === undefined ? { name, requirement } : { name, requirement, type };
}

function parseConstraint(word: string): Constraint {
  const one = word.includes('^');
  return { kind: one ? 'just_one' : 'at_least_one', names: word.split(one ? '^' : '|') };
}

function numbersBetween(first: number, last: number): readonly number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}
