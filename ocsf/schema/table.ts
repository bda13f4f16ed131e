import { commonAttributes, type EventClassUid, eventCategories, eventClasses } from './classes.ts';
import { type DataTypeName, dataTypes } from './data-types.ts';
import { dictionary } from './dictionary.ts';
import { enums, siblings } from './enums.ts';
import { type AttributeNote, type Constraint, parseEnum, parseNotes, type Requirement, wordsOf } from './notation.ts';
import { type ObjectName, objects } from './objects.ts';
import { type Profile, type ProfileName, profiles } from './profiles.ts';
import type { SchemaVersion } from './versions.ts';

/** One attribute of a class or an object at one version. */
export type Attribute = {
  readonly name: string;
  /** A data type, an object of the table, or `object`: any JSON object. */
  readonly type: DataTypeName | ObjectName | 'object';
  readonly isList: boolean;
  readonly requirement: Requirement;
  /** The profile that the event must list. */
  readonly profile?: ProfileName;
  /** The values and their captions; `undefined` is a caption that we do not know. */
  readonly values?: ReadonlyMap<unknown, string | undefined>;
  /** The attribute that holds the caption. */
  readonly sibling?: string;
};

/** A class or an object at one version. */
export type Members = {
  readonly name: string;
  readonly attributes: ReadonlyMap<string, Attribute>;
  readonly constraints: readonly Constraint[];
};

const typeByName: ReadonlyMap<string, string> = new Map(
  Object.entries(dictionary).flatMap(([type, names]) => wordsOf(names).map((name) => [name, type] as const)),
);

/** The attributes and constraints of a class at a version: common ones, its own, and those of its profiles. */
export function membersOfClass(uid: EventClassUid, version: SchemaVersion): Members {
  const facts = eventClasses[uid];
  const common = parseNotes(commonAttributes, version);
  const own = parseNotes(facts.attributes, version);
  const profiled = profileNotes(version, (profile) => {
    const since = profile.since?.[uid];
    return profile.classes.includes(uid) && (since === undefined || version >= since);
  });
  const notes = new Map<string, Noted>([...profiled, ...common.attributes, ...own.attributes].map(byName));
  const values = new Map<string, Attribute['values']>([
    ['class_uid', new Map([[uid, facts.caption]])],
    ['category_uid', new Map([[facts.category, eventCategories[facts.category]]])],
    ['activity_id', valuesOf(facts.activities, version)],
  ]);
  const attributes = [...notes.values()].map((note) => attributeOf(facts.name, note, version, values.get(note.name)));
  return { name: facts.name, attributes: withDatetime(attributes), constraints: own.constraints };
}

/** The attributes and constraints of an object at a version. */
export function membersOfObject(name: ObjectName, version: SchemaVersion): Members {
  const own = parseNotes(objects[name], version);
  const profiled = profileNotes(version, (profile) => profile.objects.includes(name));
  const notes = new Map<string, Noted>([...profiled, ...own.attributes].map(byName));
  const attributes = [...notes.values()].map((note) => attributeOf(name, note, version));
  return { name, attributes: withDatetime(attributes), constraints: own.constraints };
}

/** Whether the table has an object of this name. */
export function isObjectName(name: string): name is ObjectName {
  return Object.hasOwn(objects, name);
}

/** Whether `uid` is one of our classes. */
export function isEventClassUid(uid: unknown): uid is EventClassUid {
  return typeof uid === 'number' && Object.hasOwn(eventClasses, uid);
}

type Noted = AttributeNote & { readonly profile?: ProfileName };

function byName(note: Noted): readonly [string, Noted] {
  return [note.name, note];
}

function profileNotes(version: SchemaVersion, applies: (profile: Profile) => boolean): readonly Noted[] {
  return (Object.keys(profiles) as (keyof typeof profiles)[]).flatMap((profile) =>
    applies(profiles[profile])
      ? parseNotes(profiles[profile].attributes, version).attributes.map((note) => ({ ...note, profile }))
      : [],
  );
}

function attributeOf(holder: string, note: Noted, version: SchemaVersion, given?: Attribute['values']): Attribute {
  const { name, requirement, profile } = note;
  const listed = note.type ?? typeByName.get(name) ?? name;
  const type = listed.replace(/\[\]$/, '');
  if (!isTypeName(type)) throw new Error(`The attribute ${name} of ${holder} has no type in the dictionary`);
  const values = given ?? enumOf(holder, name, version);
  const sibling = Object.hasOwn(siblings, name) ? siblings[name] : values && siblingOf(name);
  return {
    name,
    type,
    isList: listed.endsWith('[]'),
    requirement,
    ...(profile === undefined ? {} : { profile }),
    ...(values === undefined ? {} : { values }),
    ...(sibling === undefined ? {} : { sibling }),
  };
}

function isTypeName(type: string): type is Attribute['type'] {
  return type === 'object' || Object.hasOwn(dataTypes, type) || isObjectName(type);
}

function enumOf(holder: string, name: string, version: SchemaVersion): Attribute['values'] {
  const table: Readonly<Record<string, string>> = enums;
  const line = table[`${holder}.${name}`] ?? table[name];
  return line === undefined ? undefined : valuesOf(line, version);
}

function valuesOf(line: string, version: SchemaVersion): ReadonlyMap<unknown, string | undefined> {
  return new Map(parseEnum(line, version).map(({ id, caption }) => [id, caption]));
}

function siblingOf(name: string): string | undefined {
  if (name.endsWith('_ids')) return `${name.slice(0, -'_ids'.length)}s`;
  return name.endsWith('_id') ? name.slice(0, -'_id'.length) : undefined;
}

function withDatetime(attributes: readonly Attribute[]): ReadonlyMap<string, Attribute> {
  const texts = attributes
    .filter(({ type }) => type === 'timestamp_t')
    .map(({ name }): Attribute => {
      const text = `${name}_dt`;
      return { name: text, type: 'datetime_t', isList: false, requirement: 'optional', profile: 'datetime' };
    });
  return new Map([...attributes, ...texts].map((attribute) => [attribute.name, attribute]));
}
