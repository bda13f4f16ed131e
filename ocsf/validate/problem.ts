import { escapeText, quoteText } from '../../base/index.ts';

/** What an event can break. docs/ocsf-validator.md says of each what it means. */
export type Rule =
  | 'object'
  | 'class'
  | 'version'
  | 'unknown'
  | 'profile'
  | 'required'
  | 'recommended'
  | 'at_least_one'
  | 'just_one'
  | 'type'
  | 'range'
  | 'form'
  | 'enum'
  | 'caption'
  | 'label'
  | 'type_uid'
  | 'observable'
  | 'aggregate'
  | 'null'
  | 'undefined'
  | 'depth'
  | 'size';

/** One thing that is wrong with an event. It is plain JSON of a bounded size, whatever the event holds. */
export type Problem = {
  /** Where, from the event down, for example `evidences[0].src_endpoint.ip`. Empty means the event itself. */
  readonly path: string;
  readonly rule: Rule;
  /** What stands there: text is shortened, an object is `object`, a list `list`. Absent where nothing stands there. */
  readonly value?: string | number | boolean;
  /** What is wrong, without the path. One printable line. */
  readonly message: string;
};

/** What was found in an event. Errors make it invalid, warnings do not. */
export type Findings = { readonly errors: readonly Problem[]; readonly warnings: readonly Problem[] };

/** The state of one walk through an event. */
export type Walk = {
  readonly errors: Problem[];
  readonly warnings: Problem[];
  readonly wantsWarnings: boolean;
  /** The profiles that the event lists, a bit each. */
  readonly profiles: number;
  /** The profiles of which an attribute was met. */
  usedProfiles: number;
  /** The way down to the object being looked at: `path[0]` to `path[depth - 1]`. */
  readonly path: (string | number)[];
  depth: number;
  /** How many values may still be looked at. */
  budget: number;
};

/** A process with all its ancestors may well be nested twenty deep; what goes deeper than this was made to hurt. */
export const maxDepth = 64;

/** More values than this no event of a megabyte can hold that anybody would want to read. */
export const maxValues = 100_000;

const maxProblems = 64;
const maxKeyLength = 64;
const maxTextLength = 160;

/** A walk that has seen nothing yet. */
export function startWalk(profiles: number, wantsWarnings: boolean): Walk {
  // A literal, because to spread one takes longer than to look at a whole object.
  return {
    errors: [],
    warnings: [],
    wantsWarnings,
    profiles,
    usedProfiles: 0,
    path: [],
    depth: 0,
    budget: maxValues,
  };
}

/** Notes an error at the attribute or index `key` of the object being looked at; `''` is that object. */
export function reportError(walk: Walk, rule: Rule, key: string | number, value: unknown, message: string): void {
  // Of very many errors the first tell enough; the walk goes on, within its budget.
  if (walk.errors.length < maxProblems) walk.errors.push(problemAt(walk, rule, key, value, message));
}

/** Notes a warning, where warnings are wanted. */
export function reportWarning(walk: Walk, rule: Rule, key: string | number, value: unknown, message: string): void {
  if (walk.wantsWarnings && walk.warnings.length < maxProblems) {
    walk.warnings.push(problemAt(walk, rule, key, value, message));
  }
}

/** Takes `count` values off the budget; `false`, and an error, when it is used up. */
export function spend(walk: Walk, count: number): boolean {
  const before = walk.budget;
  walk.budget -= count;
  if (walk.budget >= 0) return true;
  if (before >= 0)
    reportError(walk, 'size', '', undefined, `is past the first ${maxValues} values: none was looked at`);
  return false;
}

/** A value as text for a message: quoted, escaped and shortened. */
export function shown(value: unknown): string {
  return typeof value === 'string' ? quoteText(value, maxTextLength) : String(summaryOf(value));
}

function problemAt(walk: Walk, rule: Rule, key: string | number, value: unknown, message: string): Problem {
  const path = pathTo(walk, key);
  const summary = summaryOf(value);
  return summary === undefined ? { path, rule, message } : { path, rule, value: summary, message };
}

function pathTo(walk: Walk, key: string | number): string {
  let path = '';
  for (const step of [...walk.path.slice(0, walk.depth), key]) {
    if (typeof step === 'number') path += `[${step}]`;
    else if (step !== '') path += path === '' ? escapeText(step, maxKeyLength) : `.${escapeText(step, maxKeyLength)}`;
  }
  return path;
}

function summaryOf(value: unknown): string | number | boolean | undefined {
  switch (typeof value) {
    case 'string':
      return value.length > maxTextLength
        ? `${value.slice(0, maxTextLength).replace(/\p{Surrogate}/gu, '\ufffd')}…`
        : value;
    case 'number':
      return Number.isFinite(value) ? value : String(value);
    case 'boolean':
      return value;
    case 'undefined':
      return undefined;
    case 'object':
      return value === null ? 'null' : Array.isArray(value) ? 'list' : 'object';
    default:
      return typeof value;
  }
}
