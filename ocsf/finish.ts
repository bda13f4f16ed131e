import { TapwardenError } from '../base/index.ts';
import type { EventBody, EventDraft, JsonObject, JsonValue } from './event.ts';
import { observablesOf } from './observables.ts';
import { eventCategories, eventClasses } from './schema/classes.ts';
import { classMembers, objectMembers } from './schema/lookup.ts';
import { profiles } from './schema/profiles.ts';
import { type Attribute, isEventClassUid, type Members } from './schema/table.ts';
import { defaultVersion, isSchemaVersion, type SchemaVersion, schemaVersions } from './schema/versions.ts';

/** Characters that a text of an event may have at most; other attributes have {@link defaultMaxLength}. */
const maxLengths: Readonly<Record<string, number>> = { cmd_line: 4096, raw_data: 4096, hostname: 255 };
const defaultMaxLength = 1024;
/** Levels of objects; deeper than this nothing can be meant. */
const maxDepth = 32;

/** What is found on the way through a draft. */
type Walk = {
  readonly version: SchemaVersion;
  readonly profiles: Set<string>;
  removedBytes: number;
};

/**
 * Completes a draft with all that follows from it: names of class, category, activity and type, the caption beside
 * each id, `metadata.version` and `metadata.profiles`, and `observables`.
 *
 * Scalars stand before objects and `time` stands first, because Splunk takes the first `"time":` of a line. Texts are
 * bounded, and `metadata.is_truncated` says when one was; lone surrogates become U+FFFD, so that the line is UTF-8.
 * What is `undefined` is absent from the result.
 *
 * @throws EVENT_INVALID when class, activity or version are unknown, or there is a `null`, a number that is not finite
 * or too large, an id that the table has not, or an id 99 without its label
 */
export function finish<Draft extends EventDraft>(draft: Draft): EventBody<Draft> {
  const version = versionOf(draft);
  if (!isEventClassUid(draft.class_uid)) throw invalid('class_uid', 'is no class of the table', draft.class_uid);
  const walk: Walk = { version, profiles: new Set(draft.metadata.profiles), removedBytes: 0 };
  const members = classMembers(draft.class_uid, version);
  const { metadata, observables, unmapped, ...attributes } = completeObject(draft, members, '', 0, walk);
  const scalars: Record<string, JsonValue | undefined> = { time: draft.time };
  const objects: Record<string, JsonValue | undefined> = {};
  const named = { ...namesOf(draft, members), ...attributes };
  for (const [key, value] of Object.entries(named)) (typeof value === 'object' ? objects : scalars)[key] = value;
  const found = [...((observables ?? []) as readonly JsonObject[]), ...observablesOf(attributes, version)];
  const body = {
    ...scalars,
    metadata: { ...withVersion(metadata as JsonObject, version), profiles: inOrder(walk.profiles) },
    ...objects,
    ...(found.length === 0 ? {} : { observables: found }),
    ...(unmapped === undefined ? {} : { unmapped }),
  };
  // The walk is over JSON; that it kept every attribute of the draft is what the cast says and the tests prove.
  return (walk.removedBytes === 0 ? body : markTruncated(body, walk.removedBytes)) as unknown as EventBody<Draft>;
}

/** Sets `metadata.is_truncated` and the size that the event had while `removedBytes` more were in it. */
export function markTruncated<E extends { readonly metadata: object }>(event: E, removedBytes: number): E {
  const size = Buffer.byteLength(JSON.stringify(event)) + removedBytes;
  const before = 'untruncated_size' in event.metadata ? Number(event.metadata.untruncated_size) : 0;
  const untruncated = Math.max(before, Math.ceil(size / 1024));
  return { ...event, metadata: { ...event.metadata, is_truncated: true, untruncated_size: untruncated } };
}

/** Puts U+FFFD in place of halves of surrogates, which UTF-8 cannot hold. */
export function wellFormed(text: string): string {
  return text.isWellFormed() ? text : text.toWellFormed();
}

function versionOf({ metadata }: EventDraft): SchemaVersion {
  const version: unknown = metadata?.version ?? defaultVersion;
  if (isSchemaVersion(version)) return version;
  throw invalid('metadata.version', `must be one of ${schemaVersions.join(', ')}`, version);
}

/** The version stands first, where a reader of the line looks for it. */
function withVersion(metadata: JsonObject, version: SchemaVersion): JsonObject {
  return { version, ...metadata };
}

function namesOf(draft: EventDraft, members: Members): JsonObject {
  const { caption, category } = eventClasses[draft.class_uid];
  const activity = members.attributes.get('activity_id')?.values?.get(draft.activity_id);
  return {
    class_uid: draft.class_uid,
    class_name: caption,
    category_uid: category,
    category_name: eventCategories[category],
    activity_id: draft.activity_id,
    activity_name: draft.activity_name ?? activity,
    type_uid: draft.class_uid * 100 + draft.activity_id,
    type_name: `${caption}: ${activity}`,
  };
}

/** Profiles in the order of the table, and what else the caller named after them. */
function inOrder(found: ReadonlySet<string>): readonly string[] {
  const ordered = Object.keys(profiles).filter((profile) => found.has(profile));
  return [...ordered, ...[...found].filter((profile) => !ordered.includes(profile))];
}

function completeObject(
  value: object,
  members: Members | undefined,
  path: string,
  depth: number,
  walk: Walk,
): Record<string, JsonValue> {
  if (depth > maxDepth) throw invalid(path, `is nested deeper than ${maxDepth} levels`, 'object');
  const result: Record<string, JsonValue> = {};
  for (const [key, part] of Object.entries(value)) {
    if (part === undefined) continue;
    const attribute = members?.attributes.get(key);
    if (attribute?.profile !== undefined) walk.profiles.add(attribute.profile);
    const here = path === '' ? key : `${path}.${key}`;
    result[key] = completeValue(part, attribute, key, here, depth, walk);
    if (attribute?.sibling !== undefined) addCaption(attribute, part, value, here, result);
  }
  return result;
}

function completeValue(
  value: unknown,
  attribute: Attribute | undefined,
  key: string,
  path: string,
  depth: number,
  walk: Walk,
): JsonValue {
  switch (typeof value) {
    case 'string':
      return boundText(value, maxLengths[key] ?? defaultMaxLength, walk);
    case 'boolean':
      return value;
    case 'number':
      if (Number.isFinite(value) && Math.abs(value) <= Number.MAX_SAFE_INTEGER) return value;
      throw invalid(path, 'must be a finite number that every reader holds exactly', value);
    case 'object':
      if (value === null) throw invalid(path, 'is null: OCSF says absent by leaving out', value);
      if (Array.isArray(value)) {
        return value.map((item, at) => completeValue(item, attribute, key, `${path}[${at}]`, depth + 1, walk));
      }
      return completeObject(value, attribute && objectMembers(attribute.type, walk.version), path, depth + 1, walk);
    default:
      throw invalid(path, `is a ${typeof value}, which JSON has not`, typeof value);
  }
}

/** Puts the caption beside an id. A caption that the caller gave stays, for the validator to judge. */
function addCaption(
  { sibling = '', values }: Attribute,
  id: unknown,
  holder: object,
  path: string,
  result: Record<string, JsonValue>,
): void {
  if (values === undefined || Array.isArray(id)) return;
  const given: unknown = Reflect.get(holder, sibling);
  if (!values.has(id)) throw invalid(path, 'is no value of its enum', id);
  if (given !== undefined) return;
  if (id === 99) throw invalid(path, `is 99, which demands its label in ${sibling}`, id);
  const caption = values.get(id);
  if (caption !== undefined && sibling !== '') result[sibling] = caption;
}

function boundText(text: string, maxLength: number, walk: Walk): string {
  const kept = text.length > maxLength ? text.slice(0, maxLength) : text;
  if (kept !== text) walk.removedBytes += Buffer.byteLength(text) - Buffer.byteLength(kept);
  return wellFormed(kept);
}

function invalid(path: string, rule: string, value: unknown): TapwardenError {
  return new TapwardenError('EVENT_INVALID', {
    message: `No event can be made: ${path} ${rule}: current value is ${String(value).slice(0, 100)}`,
    hint: 'Correct what it was made from.',
    details: { path },
  });
}
