import { type DataType, dataTypes } from '../schema/data-types.ts';
import type { Constraint } from '../schema/notation.ts';
import type { ObjectName } from '../schema/objects.ts';
import { profiles } from '../schema/profiles.ts';
import { type Attribute, isObjectName, type Members, membersOfObject } from '../schema/table.ts';
import type { SchemaVersion } from '../schema/versions.ts';
import { forms } from './forms.ts';
import { checkFreeForm } from './free-form.ts';
import { type Example, exampleOf, isLike } from './likeness.ts';
import { isPlain } from './plain.ts';
import { maxDepth, reportError, reportWarning, shown, spend, type Walk } from './problem.ts';

/** Checks the value that stands at `key` of the object being looked at. */
type Check = (value: unknown, key: string | number, walk: Walk) => void;

/** A class or an object, made ready for checking. */
export type CompiledMembers = {
  /** What messages call it, for example `process_activity 1.8.0`. */
  readonly title: string;
  readonly attributes: ReadonlyMap<string, CompiledAttribute>;
  readonly required: readonly string[];
  readonly recommended: readonly Attribute[];
  /** What a profile requires, where the event lists it. */
  readonly requiredByProfile: readonly Attribute[];
  readonly constraints: readonly Constraint[];
  /** Valid ones that were met, of which others may be like. */
  readonly examples: Example[];
};

/** An object, made ready, and those parts of events that were sealed as valid ones. */
export type CompiledObject = CompiledMembers & {
  /** Sealed parts, each with the bits of the profiles that its attributes need. */
  sealed: WeakMap<object, number> | undefined;
};

/** An attribute as events are held against it. */
export type CompiledAttribute = {
  readonly check: Check;
  readonly isRequired: boolean;
  /** Whether it is judged together with another one: an id with its caption, or a caption. */
  readonly isPaired: boolean;
  /** The bit of the profile that it belongs to, or 0. */
  readonly profile: number;
  readonly facts: Attribute;
};

/** Gives the objects of one version, each made ready when it is first asked for. */
export type ObjectSource = (name: ObjectName) => CompiledObject;

const profileNames = [...Object.keys(profiles), 'datetime'];

/** The bit of each profile. */
export const profileBits: ReadonlyMap<string, number> = new Map(profileNames.map((name, index) => [name, 1 << index]));

/** A source of objects of `version`. */
export function createObjectSource(version: SchemaVersion): ObjectSource {
  const ready = new Map<ObjectName, CompiledObject>();
  const source: ObjectSource = (name) => {
    const known = ready.get(name);
    if (known !== undefined) return known;
    const compiled = { ...compileMembers(membersOfObject(name, version), version, source), sealed: undefined };
    ready.set(name, compiled);
    return compiled;
  };
  return source;
}

/** Makes a class or an object ready. The objects that it refers to are made ready when a value of them is met. */
export function compileMembers(members: Members, version: SchemaVersion, source: ObjectSource): CompiledMembers {
  const all = [...members.attributes.values()];
  const unprofiled = all.filter(({ profile }) => profile === undefined);
  const captions = new Set(all.map(({ sibling }) => sibling));
  const compile = (facts: Attribute): CompiledAttribute =>
    compileAttribute(facts, facts.sibling !== undefined || captions.has(facts.name), source);
  return {
    title: `${members.name} ${version}`,
    attributes: new Map(all.map((attribute) => [attribute.name, compile(attribute)])),
    required: unprofiled.filter(({ requirement }) => requirement === 'required').map(({ name }) => name),
    recommended: all.filter(({ requirement }) => requirement === 'recommended'),
    requiredByProfile: all.filter(({ requirement, profile }) => requirement === 'required' && profile !== undefined),
    constraints: members.constraints,
    examples: [],
  };
}

/** Checks the attributes of an object that is being looked at: those alone, where it can, in which it is no example. */
export function checkMembers(compiled: CompiledMembers, value: object, walk: Walk): void {
  if (walk.wantsWarnings) return checkAll(compiled, value, walk);
  for (const example of compiled.examples) if (isLike(example, value, walk)) return;
  const { errors, usedProfiles } = walk;
  const before = errors.length;
  walk.usedProfiles = 0;
  checkAll(compiled, value, walk);
  if (errors.length === before && compiled.examples.length < examplesAtMost) {
    const example = exampleOf(compiled, value, walk);
    if (example !== undefined) compiled.examples.push(example);
  }
  walk.usedProfiles |= usedProfiles;
}

/** Objects of one name differ in their keys a little, and in their ids. */
const examplesAtMost = 12;

function checkAll(compiled: CompiledMembers, value: object, walk: Walk): void {
  // What JSON would write: what an object inherits is none of it.
  const own = (isPlain(value) ? value : { ...value }) as Record<string, unknown>;
  let required = 0;
  // The engine finds a value by the key of this loop faster than by a key of Object.keys.
  for (const key in own) {
    if (!spend(walk, 1)) return;
    const attribute = compiled.attributes.get(key);
    const part = own[key];
    if (attribute === undefined) {
      reportError(walk, 'unknown', key, part, `is no attribute of ${compiled.title}`);
    } else if (part === null || part === undefined) {
      const rule = part === null ? 'null' : 'undefined';
      reportError(walk, rule, key, undefined, `is ${rule}: OCSF says absent by leaving out`);
    } else {
      if (attribute.isRequired) required += 1;
      if (attribute.profile !== 0) noteProfile(attribute, key, part, walk);
      attribute.check(part, key, walk);
      if (attribute.facts.sibling !== undefined) checkCaption(attribute.facts, part, value, walk);
    }
  }
  if (required < compiled.required.length) reportMissing(compiled, value, walk);
  for (const attribute of compiled.requiredByProfile) {
    if ((walk.profiles & bitOf(attribute)) !== 0 && !Object.hasOwn(value, attribute.name)) {
      reportError(walk, 'required', attribute.name, undefined, `is required by the profile ${attribute.profile}`);
    }
  }
  for (const constraint of compiled.constraints) checkConstraint(constraint, value, walk);
  if (walk.wantsWarnings) adviseMissing(compiled, value, walk);
}

/** Checks a value that must be an object of the table. */
export function checkObject(compiled: CompiledObject, value: unknown, key: string | number, walk: Walk): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    reportError(walk, 'type', key, value, `must be an object: got ${shown(value)}`);
    return;
  }
  if (compiled.sealed !== undefined && !walk.wantsWarnings) {
    const needed = compiled.sealed.get(value);
    if (needed !== undefined && (needed & ~walk.profiles) === 0) {
      walk.usedProfiles |= needed;
      return;
    }
  }
  if (walk.depth >= maxDepth) {
    reportError(walk, 'depth', key, undefined, `is nested deeper than ${maxDepth} levels`);
    return;
  }
  walk.path[walk.depth] = key;
  walk.depth += 1;
  checkMembers(compiled, value, walk);
  walk.depth -= 1;
}

function bitOf({ profile }: Attribute): number {
  return profile === undefined ? 0 : (profileBits.get(profile) ?? 0);
}

function compileAttribute(facts: Attribute, isPaired: boolean, source: ObjectSource): CompiledAttribute {
  const check = compileType(facts, source);
  const isRequired = facts.requirement === 'required' && facts.profile === undefined;
  return { check: facts.isList ? listOf(check) : check, isRequired, isPaired, profile: bitOf(facts), facts };
}

function listOf(check: Check): Check {
  return (value, key, walk) => {
    if (!Array.isArray(value)) {
      reportError(walk, 'type', key, value, `must be a list: got ${shown(value)}`);
      return;
    }
    if (!spend(walk, value.length)) return;
    walk.path[walk.depth] = key;
    walk.depth += 1;
    for (let index = 0; index < value.length; index += 1) {
      const item: unknown = value[index];
      if (item === null) reportError(walk, 'null', index, undefined, 'is null: a list holds values alone');
      else if (item === undefined) reportError(walk, 'undefined', index, undefined, 'is undefined');
      else check(item, index, walk);
    }
    walk.depth -= 1;
  };
}

function compileType({ type, values }: Attribute, source: ObjectSource): Check {
  if (type === 'object') return checkAnyObject;
  if (isObjectName(type)) {
    let compiled: CompiledObject | undefined;
    return (value, key, walk) => {
      compiled ??= source(type);
      checkObject(compiled, value, key, walk);
    };
  }
  const facts: DataType = dataTypes[type];
  if (values !== undefined) return enumCheck(values, scalarCheck(facts));
  return scalarCheck(facts);
}

function checkAnyObject(value: unknown, key: string | number, walk: Walk): void {
  if (typeof value === 'object' && !Array.isArray(value)) checkFreeForm(value, key, walk);
  else reportError(walk, 'type', key, value, `must be an object: got ${shown(value)}`);
}

function enumCheck(values: NonNullable<Attribute['values']>, base: Check): Check {
  return (value, key, walk) => {
    if (values.has(value)) return;
    const before = walk.errors.length;
    base(value, key, walk);
    // Text where a number belongs is one error, not two.
    if (walk.errors.length > before) return;
    const known = [...values.keys()].slice(0, 30).join(', ');
    reportError(
      walk,
      'enum',
      key,
      value,
      `must be one of ${known}${values.size > 30 ? ', …' : ''}: got ${shown(value)}`,
    );
  };
}

function scalarCheck(facts: DataType): Check {
  switch (facts.json) {
    case 'boolean':
      return (value, key, walk) => {
        if (typeof value !== 'boolean')
          reportError(walk, 'type', key, value, `must be true or false: got ${shown(value)}`);
      };
    case 'number':
      return (value, key, walk) => {
        if (typeof value !== 'number') reportError(walk, 'type', key, value, `must be a number: got ${shown(value)}`);
        else if (!Number.isFinite(value)) reportError(walk, 'range', key, value, 'must be a finite number');
      };
    case 'integer':
      return integerCheck(facts);
    case 'string':
      return textCheck(facts);
    case 'any':
      return checkFreeForm;
  }
}

function integerCheck({ min = Number.MIN_SAFE_INTEGER, max = Number.MAX_SAFE_INTEGER }: DataType): Check {
  return (value, key, walk) => {
    if (typeof value === 'number' && value >= min && value <= max && Number.isInteger(value)) return;
    if (typeof value !== 'number' || (Number.isFinite(value) && !Number.isInteger(value))) {
      reportError(walk, 'type', key, value, `must be an integer: got ${shown(value)}`);
    } else reportError(walk, 'range', key, value, `must be from ${min} to ${max}: got ${shown(value)}`);
  };
}

function textCheck({ form }: DataType): Check {
  if (form === undefined) {
    return (value, key, walk) => {
      if (typeof value !== 'string') reportError(walk, 'type', key, value, `must be text: got ${shown(value)}`);
    };
  }
  const { must, holds, should } = forms[form];
  return (value, key, walk) => {
    if (typeof value !== 'string') reportError(walk, 'type', key, value, `must be text: got ${shown(value)}`);
    else if (!holds(value)) reportError(walk, 'form', key, value, `must be ${must}: got ${shown(value)}`);
    else if (walk.wantsWarnings && should !== undefined && !should.holds(value)) {
      reportWarning(walk, 'form', key, value, `should be ${should.be}: got ${shown(value)}`);
    }
  };
}

function noteProfile(attribute: CompiledAttribute, key: string, value: unknown, walk: Walk): void {
  walk.usedProfiles |= attribute.profile;
  if ((attribute.profile & walk.profiles) !== 0) return;
  const { profile } = attribute.facts;
  reportError(walk, 'profile', key, value, `belongs to the profile ${profile}, which metadata.profiles does not list`);
}

function reportMissing({ required, title }: CompiledMembers, value: object, walk: Walk): void {
  for (const name of required) {
    if (!Object.hasOwn(value, name)) reportError(walk, 'required', name, undefined, `is required of ${title}`);
  }
}

function adviseMissing({ recommended, title }: CompiledMembers, value: object, walk: Walk): void {
  for (const attribute of recommended) {
    const bit = bitOf(attribute);
    if ((bit !== 0 && (bit & walk.profiles) === 0) || Object.hasOwn(value, attribute.name)) continue;
    reportWarning(walk, 'recommended', attribute.name, undefined, `is recommended of ${title}`);
  }
}

function checkConstraint({ kind, names }: Constraint, value: object, walk: Walk): void {
  let present = 0;
  for (const name of names) {
    if (Object.hasOwn(value, name)) present += 1;
    if (present === 1 && kind === 'at_least_one') return;
  }
  if (kind === 'just_one' && present === 1) return;
  const wanted = kind === 'just_one' ? 'exactly one' : 'at least one';
  reportError(walk, kind, '', undefined, `must have ${wanted} of ${names.join(', ')}: it has ${present}`);
}

/** The id of what the schema does not list. Its name must be told. */
const other = 99;

function checkCaption({ name, sibling, values }: Attribute, id: unknown, holder: object, walk: Walk): void {
  // A sibling is a name of the table, and none of these is one of Object.prototype.
  const text: unknown = sibling === undefined ? undefined : (holder as Record<string, unknown>)[sibling];
  if (values === undefined || sibling === undefined) return;
  if (Array.isArray(id)) {
    checkCaptions(name, sibling, values, id, text, walk);
  } else if (id === other) {
    if (typeof text === 'string' && text.trim() !== '') return;
    reportError(walk, 'label', sibling, text, `must say what ${name} 99 stands for`);
  } else if (typeof text === 'string') {
    const caption = values.get(id);
    if (text !== caption && caption !== undefined) reportCaption(sibling, text, `${name} ${shown(id)}`, caption, walk);
  }
}

function reportCaption(sibling: string, text: string, id: string, caption: string, walk: Walk): void {
  const message = `contradicts ${id}, which is ${shown(caption)}: got ${shown(text)}`;
  if (text.trim().toLowerCase() !== caption.toLowerCase()) reportError(walk, 'caption', sibling, text, message);
  else reportWarning(walk, 'caption', sibling, text, `is spelt otherwise than the caption ${shown(caption)}`);
}

function checkCaptions(
  name: string,
  sibling: string,
  values: NonNullable<Attribute['values']>,
  ids: readonly unknown[],
  texts: unknown,
  walk: Walk,
): void {
  const captions = ids.map((id) => values.get(id));
  if (ids.includes(other)) {
    if (Array.isArray(texts) && texts.length > 0) return;
    reportError(walk, 'label', sibling, texts, `must say what ${name} 99 stands for`);
    // A value without a caption that we know may be called anything.
  } else if (Array.isArray(texts) && !captions.includes(undefined)) {
    const known = new Set(captions.map((caption) => caption?.toLowerCase()));
    const stray = texts.find((text) => typeof text === 'string' && !known.has(text.trim().toLowerCase()));
    if (stray === undefined) return;
    reportError(walk, 'caption', sibling, stray, `has ${shown(stray)}, which is the caption of no id in ${name}`);
  }
}
