import { isDeeplyFrozen } from '../frozen.ts';
import type { CompiledAttribute, CompiledMembers } from './compile.ts';
import { isPlain } from './plain.ts';
import { spend, type Walk } from './problem.ts';

/**
 * An object that was found valid, for others to be compared with. Most of an event is what stood in the one before, and
 * of what is equal nothing needs to be judged again.
 */
export type Example = {
  readonly keys: readonly string[];
  /** What each key had. For an object that may change and be the same still, and a long text, something equal to nothing. */
  readonly values: readonly unknown[];
  readonly attributes: readonly CompiledAttribute[];
  /** The profiles that the event listed, and those of which an attribute is in the object or in its parts. */
  readonly profiles: number;
  readonly usedProfiles: number;
};

const nothingEqual = Symbol('equal to nothing');
const maxTextLength = 256;

/**
 * What an object teaches of others that was found valid in an event that lists `profiles`, and used those of
 * `usedProfiles`; `undefined` where it inherits something, and so is no plain data.
 */
export function exampleOf(
  compiled: CompiledMembers,
  value: object,
  { profiles, usedProfiles }: Pick<Walk, 'profiles' | 'usedProfiles'>,
): Example | undefined {
  if (!isPlain(value)) return undefined;
  const keys = Object.keys(value);
  const attributes = keys.flatMap((key) => compiled.attributes.get(key) ?? []);
  if (attributes.length !== keys.length) return undefined;
  return {
    keys,
    values: Object.values(value).map((part: unknown) => (isLasting(part) ? part : nothingEqual)),
    attributes,
    profiles,
    usedProfiles,
  };
}

function isLasting(part: unknown): boolean {
  return typeof part === 'string' ? part.length <= maxTextLength : isDeeplyFrozen(part);
}

/**
 * Whether an object has the keys of an example in its order, and its ids and captions, in an event that lists the same
 * profiles. Then it has what is required of it, and only the values that differ are checked: `true` says that all of the
 * object was judged, not that it is valid.
 */
export function isLike(example: Example, value: object, walk: Walk): boolean {
  const { keys, values, attributes } = example;
  if (example.profiles !== walk.profiles || !isPlain(value)) return false;
  const own = value as Readonly<Record<string, unknown>>;
  let index = 0;
  let differing = 0;
  for (const key in own) {
    if (keys[index] !== key) return false;
    const part = own[key];
    if (part !== values[index]) {
      if (part === null || part === undefined || attributes[index]?.isPaired === true) return false;
      differing += 1;
    }
    index += 1;
  }
  if (index !== keys.length || !spend(walk, index)) return index === keys.length;
  walk.usedProfiles |= example.usedProfiles;
  for (index = 0; differing > 0; index += 1) {
    const key = keys[index] as string;
    const part = own[key];
    if (part === values[index]) continue;
    differing -= 1;
    attributes[index]?.check(part, key, walk);
  }
  return true;
}
