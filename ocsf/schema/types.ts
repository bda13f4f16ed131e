import type { JsonObject, JsonValue } from '../event.ts';
import type { commonAttributes, EventClassUid, eventClasses } from './classes.ts';
import type { DataTypeName, dataTypes } from './data-types.ts';
import type { dictionary } from './dictionary.ts';
import type { EnumKey, enums } from './enums.ts';
import type { ObjectName, objects } from './objects.ts';
import type { profiles } from './profiles.ts';

// The types below are read out of the lines of the table by the compiler, so that they cannot say anything else than
// the validator does. A line's versions are not told apart: an attribute of any version may be written.

/** The ids of an enum, for example `IdOf<'severity_id'>` is `0 | 1 | 2 | 3 | 4 | 5 | 6 | 99`. */
export type IdOf<Key extends EnumKey> = IdsIn<(typeof enums)[Key]>;

/** The activities of a class, for example `ActivityOf<0>` is `0 | 99`. */
export type ActivityOf<Uid extends EventClassUid> = IdsIn<(typeof eventClasses)[Uid]['activities']>;

/**
 * An object of OCSF: the attributes of its line, and those that profiles add to it. Required ones must be there; that
 * one of several must, only the validator knows. Example: `ObjectOf<'policy'>`.
 */
export type ObjectOf<Name extends ObjectName> = Shape<
  Name,
  WordsIn<(typeof objects)[Name]>,
  ProfileWords<'objects', Name>
>;

/**
 * An event of one class: the common attributes, those of the class, those that its profiles add. What is required is
 * required, but for captions nothing is. Example: `EventOf<4001>`.
 */
export type EventOf<Uid extends EventClassUid> = Shape<
  (typeof eventClasses)[Uid]['name'],
  WordsIn<typeof commonAttributes | (typeof eventClasses)[Uid]['attributes']>,
  ProfileWords<'classes', Uid>,
  { readonly class_uid: Uid; readonly activity_id: ActivityOf<Uid> }
>;

/** What a profile requires it requires of events that list it: here it is optional. */
type Shape<Holder extends string, Own extends string, Profiled extends string, Given = object> = Given & {
  readonly [Key in Exclude<RequiredIn<Own>, keyof Given>]: ValueOf<Holder, Key, Own>;
} & {
  readonly [Key in Exclude<NameIn<Own | Profiled>, RequiredIn<Own> | keyof Given>]?: ValueOf<Holder, Key, Own>;
} & { readonly [Key in TimestampIn<NameIn<Own>> as `${Key}_dt`]?: string };

type ValueOf<Holder extends string, Key extends string, Word extends string> = `${Holder}.${Key}` extends EnumKey
  ? Listed<Key, IdOf<`${Holder}.${Key}`>>
  : Key extends EnumKey
    ? Listed<Key, IdOf<Key>>
    : ValueOfType<TypeIn<Word, Key>>;

type Listed<Key extends string, Id> = Key extends `${string}_ids` ? readonly Id[] : Id;

type ValueOfType<Type extends string> = Type extends `${infer Item}[]`
  ? readonly ValueOfType<Item>[]
  : Type extends DataTypeName
    ? JsonOf<(typeof dataTypes)[Type]['json']>
    : Type extends ObjectName
      ? ObjectOf<Type>
      : JsonObject;

type JsonOf<Json extends string> = Json extends 'boolean'
  ? boolean
  : Json extends 'string'
    ? string
    : Json extends 'any'
      ? JsonValue
      : number;

/** The attributes of the dictionary, each with its type. */
type TypeByName = { readonly [Type in keyof typeof dictionary as WordsIn<(typeof dictionary)[Type]>]: Type };

/** The type of an attribute: its own word's, the dictionary's, or its name. */
type TypeIn<Word extends string, Key extends string> = [TypedWord<Word, Key>] extends [`${string}:${infer Type}`]
  ? [TypedWord<Word, Key>] extends [never]
    ? DictionaryType<Key>
    : Type
  : DictionaryType<Key>;

type TypedWord<Word extends string, Key extends string> = Extract<Word, `${'' | '!' | '?'}${Key}:${string}`>;

type DictionaryType<Key extends string> = Key extends keyof TypeByName ? TypeByName[Key] : Key;

type TimestampIn<Name extends string> = Extract<Name, WordsIn<(typeof dictionary)['timestamp_t']>>;

type ProfileWords<Kind extends 'classes' | 'objects', Holder> = {
  readonly [Name in keyof typeof profiles]: Holder extends (typeof profiles)[Name][Kind][number]
    ? WordsIn<(typeof profiles)[Name]['attributes']>
    : never;
}[keyof typeof profiles];

/** The words of a line of the table, without their versions. A union of lines gives the words of all. */
type WordsIn<Text extends string> = Unversioned<Split<Text, '\n'>>;

/** Recursion through an accumulator: the compiler takes it as a loop. */
type Split<Text extends string, By extends string, Found = never> = Text extends `${infer Head}${By}${infer Rest}`
  ? Split<Rest, By, Found | (By extends '\n' ? Split<Head, ' '> : Head)>
  : Exclude<Found | (By extends '\n' ? Split<Text, ' '> : Text), ''>;

type Unversioned<Word> = Word extends `${infer Bare}+${string}` | `${infer Bare}-${string}` ? Bare : Word;

type NameIn<Word extends string> = Word extends `${string}${'|' | '^'}${string}`
  ? never
  : Word extends `${'!' | '?'}${infer Name}`
    ? Untyped<Name>
    : Untyped<Word>;

/** What is required in one version only (`!app-1.9 app+1.9`) is not required. */
type RequiredIn<Word extends string> = Exclude<
  Word extends `!${infer Name}` ? Untyped<Name> : never,
  NameIn<Exclude<Word, `!${string}`>>
>;

type Untyped<Name extends string> = Name extends `${infer Bare}:${string}` ? Bare : Name;

/** The ids in the values of an enum. */
type IdsIn<Values extends string, Found = never> = Values extends `${infer Value}|${infer Rest}`
  ? IdsIn<Rest, Found | IdIn<Trim<Value>>>
  : Found | IdIn<Trim<Values>>;

type IdIn<Value extends string> = Value extends `${infer Id} ${string}`
  ? NumberIn<Unversioned<Id>>
  : NumberIn<Unversioned<Value>>;

/** An id as a number, or as the text that it is. Ids whose captions we do not know (`10..40`) are not to be written. */
type NumberIn<Id> = Id extends `${string}..${string}` ? never : Id extends `${infer Value extends number}` ? Value : Id;

type Trim<Text extends string> = Text extends `${' ' | '\n'}${infer Rest}`
  ? Trim<Rest>
  : Text extends `${infer Rest}${' ' | '\n'}`
    ? Trim<Rest>
    : Text;
