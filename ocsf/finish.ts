import { TapwardenError } from '../base/index.ts';
import { categories, classes, profiles } from './classes.ts';
import { enums } from './enums.ts';
import type { EventBody, EventDraft, JsonObject, JsonValue, Observable } from './event.ts';

/** Characters that a text of an event may have at most; other attributes have {@link defaultMaxLength}. */
const maxLengths: Readonly<Record<string, number>> = { cmd_line: 4096, raw_data: 4096, hostname: 255 };
const defaultMaxLength = 1024;

/** The attributes that become observables, and the observable's type. */
const observablePaths = {
  'device.uid': 47,
  'actor.user.uid': 31,
  'process.name': 9,
  'process.pid': 15,
  'process.cmd_line': 13,
  'src_endpoint.ip': 2,
  'dst_endpoint.ip': 2,
  'dst_endpoint.hostname': 1,
  'dst_endpoint.port': 11,
} as const;

/**
 * Completes a draft with all that follows from it: names of class, category, activity and type, the caption beside
 * each id, `metadata.profiles`, and `observables`.
 *
 * Scalars stand before objects and `time` stands first, because Splunk takes the first `"time":` of a line. Texts are
 * bounded, and `metadata.is_truncated` says when one was; lone surrogates become U+FFFD, so that the line is UTF-8.
 * What is `undefined` is absent from the result.
 *
 * @throws BUG when a builder wrote `null`, a number that is not finite or too large, or an id that the tables lack
 */
export function finish<Draft extends EventDraft>(draft: Draft): EventBody<Draft> {
  const shortened = { bytes: 0 };
  const { metadata, unmapped, ...attributes } = complete(draft as unknown as JsonObject, '', shortened);
  const named = Object.entries({ ...namesOf(draft), ...attributes });
  const scalars = named.filter(([, value]) => typeof value !== 'object');
  const objects = named.filter(([, value]) => typeof value === 'object');
  const body = {
    time: draft.time,
    ...Object.fromEntries(scalars),
    metadata: { ...(metadata as JsonObject), profiles: profilesOf(draft) },
    ...Object.fromEntries(objects),
    observables: observablesOf(attributes),
    ...(unmapped === undefined ? {} : { unmapped }),
  };
  // The walk is over JSON; that it kept every attribute of the draft is what the cast says and the tests prove.
  return (shortened.bytes === 0 ? body : markTruncated(body, shortened.bytes)) as unknown as EventBody<Draft>;
}

/** Sets `metadata.is_truncated` and the size that the event had while `removedBytes` more were in it. */
export function markTruncated<E extends { readonly metadata: object }>(event: E, removedBytes: number): E {
  const size = Buffer.byteLength(JSON.stringify(event)) + removedBytes;
  const before = 'untruncated_size' in event.metadata ? Number(event.metadata.untruncated_size) : 0;
  const untruncated = Math.max(before, Math.ceil(size / 1024));
  return { ...event, metadata: { ...event.metadata, is_truncated: true, untruncated_size: untruncated } };
}

function namesOf(draft: EventDraft): JsonObject {
  const facts = classes[draft.class_uid];
  const activities: Readonly<Record<number, string>> = facts.activities;
  const activity = activities[draft.activity_id];
  if (activity === undefined) throw bug(`class ${draft.class_uid} has no activity ${draft.activity_id}`);
  return {
    class_uid: draft.class_uid,
    class_name: facts.caption,
    category_uid: facts.category,
    category_name: categories[facts.category],
    activity_id: draft.activity_id,
    activity_name: activity,
    type_uid: draft.class_uid * 100 + draft.activity_id,
    type_name: `${facts.caption}: ${activity}`,
  };
}

function complete(value: JsonObject, path: string, shortened: { bytes: number }): JsonObject {
  const result: Record<string, JsonValue> = {};
  for (const [key, part] of Object.entries(value)) {
    if (part === undefined) continue;
    const here = path === '' ? key : `${path}.${key}`;
    result[key] = completeValue(part, key, here, shortened);
    const caption = here.startsWith('unmapped.') ? undefined : captionOf(path, key, part);
    if (caption !== undefined) result[caption.key] ??= caption.text;
  }
  return result;
}

function completeValue(value: JsonValue, key: string, path: string, shortened: { bytes: number }): JsonValue {
  switch (typeof value) {
    case 'string':
      return boundText(value, maxLengths[key] ?? defaultMaxLength, shortened);
    case 'boolean':
      return value;
    case 'number':
      if (Number.isFinite(value) && Math.abs(value) <= Number.MAX_SAFE_INTEGER) return value;
      throw bug(`${path} is ${value}`);
    case 'object':
      if (value === null) throw bug(`${path} is null`);
      if (isList(value)) return value.map((item, index) => completeValue(item, key, `${path}[${index}]`, shortened));
      return complete(value, path, shortened);
    default:
      throw bug(`${path} is of type ${typeof value}`);
  }
}

/** The caption of an id attribute and the attribute that it belongs into; `undefined` when `key` is no enum. */
function captionOf(
  path: string,
  key: string,
  id: JsonValue,
): { readonly key: string; readonly text: string } | undefined {
  // Names of class, category and activity come from the class; every other number that ends in _id is an enum.
  if (!key.endsWith('_id') || typeof id !== 'number' || (path === '' && key === 'activity_id')) return undefined;
  const holder = path.slice(path.lastIndexOf('.') + 1);
  const table: Readonly<
    Record<string, { readonly caption: string; readonly values: Readonly<Record<number, string>> }>
  > = enums;
  const found = table[`${holder}.${key}`] ?? table[key];
  const text = found?.values[id];
  if (found === undefined || text === undefined) throw bug(`${path}.${key} has no caption for ${id}`);
  return { key: found.caption, text };
}

function boundText(text: string, maxLength: number, shortened: { bytes: number }): string {
  const kept = text.length > maxLength ? text.slice(0, maxLength) : text;
  if (kept !== text) shortened.bytes += Buffer.byteLength(text) - Buffer.byteLength(kept);
  return kept.replace(/\p{Surrogate}/gu, '\ufffd');
}

function profilesOf(draft: EventDraft): readonly string[] {
  const own: readonly string[] = classes[draft.class_uid].ownAttributes;
  const used = new Set(Object.entries(draft).flatMap(([key, value]) => (value === undefined ? [] : [key])));
  return Object.entries(profiles)
    .filter(([, attributes]) => attributes.some((attribute) => used.has(attribute) && !own.includes(attribute)))
    .map(([profile]) => profile);
}

function observablesOf(event: JsonObject): readonly Observable[] {
  return Object.entries(observablePaths).flatMap(([name, typeId]) => {
    const value = name.split('.').reduce<JsonValue | undefined>(memberOf, event);
    if (typeof value !== 'string' && typeof value !== 'number') return [];
    return [{ name, type_id: typeId, type: enums['observables.type_id'].values[typeId], value: String(value) }];
  });
}

function memberOf(value: JsonValue | undefined, key: string): JsonValue | undefined {
  return typeof value === 'object' && !isList(value) ? value[key] : undefined;
}

function isList(value: JsonValue): value is readonly JsonValue[] {
  return Array.isArray(value);
}

function bug(what: string): TapwardenError {
  return new TapwardenError('BUG', { message: `An event cannot be finished: ${what}` });
}
