import type { EventBody, EventDraft, JsonObject, JsonValue } from './event.ts';
import { isDeeplyFrozen } from './frozen.ts';

/** What the log alone knows of an event. It stands at the end of `metadata`. */
export type LogParts = {
  /** Unique and sortable by time. */
  readonly uid: string;
  /** Contiguous in a log, from 1. */
  readonly sequence: number;
  /** Epoch milliseconds. */
  readonly logged_time: number;
};

/** Makes an event's JSON text, with the parts of the log where they are given. */
export type EventSerializer = (event: EventBody<EventDraft>, parts?: LogParts) => string;

/**
 * The text of an object that was serialised before. `values` are its members in order, and the text of member `n` is
 * `text.slice(starts[n], ends[n])`.
 */
type Example = {
  readonly isList: boolean;
  readonly keys: readonly string[];
  readonly values: readonly unknown[];
  readonly starts: readonly number[];
  readonly ends: readonly number[];
  /** For members that are objects: their own example. */
  readonly inner: readonly (Example | undefined)[];
  /** Whether each member is a text, of which the quotes stand first and last. */
  readonly isText: readonly boolean[];
  readonly text: string;
  /** The text before each member that differed, from the end of the one that did before it. */
  readonly pieces: (Piece | undefined)[];
};

/** `text` is that from `from` on. */
type Piece = { readonly from: number; readonly text: string };

// The texts of objects that cannot change. Callers cannot tell that they are kept.
const keptTexts = new WeakMap<object, string>();

/** Keeps the text of a part that many events will have, where nothing in it can change any more. */
export function keepText(part: JsonObject | readonly JsonValue[]): void {
  if (isDeeplyFrozen(part)) keptTexts.set(part, JSON.stringify(part));
}

/** Examples that are kept for one `type_uid` at most; events of one type differ in their keys a little. */
const examplesPerType = 8;
const typesAtMost = 64;

/**
 * Makes a serialiser. Its text is that of `JSON.stringify`, byte for byte; `parts` are as if they stood at the end of
 * `metadata`. The event is plain data: nothing in it has a `toJSON`.
 *
 * It is three times as fast, because most of an event is what stood in the one before: it keeps an event of each kind
 * with its text, looks for the members that differ, and copies the text between them. A member that is a deeply frozen
 * object, as `device` and `policy` are, is the same if it is the same object.
 */
export function createEventSerializer(): EventSerializer {
  const examples = new Map<number, Example[]>();
  return (event, parts) => {
    const body = serialize(examples, event as unknown as JsonObject, event.type_uid, parts);
    return body ?? JSON.stringify(parts === undefined ? event : withLogParts(event, parts));
  };
}

/**
 * Serialises with examples that the whole process shares. Who writes many events of one sandbox has a serialiser of its
 * own, whose examples are of that sandbox.
 */
export const serializeEvent: EventSerializer = createEventSerializer();

/** The event as it stands in the log. */
export function withLogParts<Body extends { readonly metadata: object }>(
  event: Body,
  parts: LogParts,
): Body & { readonly metadata: LogParts } {
  return { ...event, metadata: { ...event.metadata, ...parts } };
}

function serialize(
  examples: Map<number, Example[]>,
  event: JsonObject,
  type: number,
  parts: LogParts | undefined,
): string | undefined {
  const known = examples.get(type);
  for (const example of known ?? []) {
    const text = textLike(event, example, parts);
    if (text !== undefined) return text;
  }
  if ((known?.length ?? 0) >= examplesPerType || (known === undefined && examples.size >= typesAtMost))
    return undefined;
  const example = exampleOf(event);
  if (example === undefined) return undefined;
  if (known === undefined) examples.set(type, [example]);
  else known.push(example);
  return textLike(event, example, parts);
}

/** The text of an object that has the members of `example`; `undefined` when it has others. */
function textLike(value: JsonObject, example: Example, parts?: LogParts): string | undefined {
  const { keys, values, starts, ends, isText } = example;
  let text = '';
  let copied = 0;
  let index = 0;
  for (const key in value) {
    if (keys[index] !== key) return undefined;
    const member = value[key];
    if (member !== values[index] || parts !== undefined) {
      const isParted = parts !== undefined && key === 'metadata';
      if (typeof member === 'string' && isText[index] === true && !isParted && !isEscaped(member)) {
        // The quotes are those of the example: the fewer pieces a text is made of, the sooner it is written.
        text += pieceBefore(example, index, copied, (starts[index] ?? 0) + 1) + member;
        copied = (ends[index] ?? 0) - 1;
      } else if (isParted || member !== values[index]) {
        const found = textOfMember(member, example, index);
        if (found === undefined || (isParted && !found.endsWith('}'))) return undefined;
        text += pieceBefore(example, index, copied, starts[index] ?? 0) + (isParted ? withParts(found, parts) : found);
        copied = ends[index] ?? 0;
      }
    }
    index += 1;
  }
  if (index !== values.length) return undefined;
  return copied === 0 ? example.text : text + pieceBefore(example, index, copied, example.text.length);
}

/** The same for a list of as many members. A list needs no keys, and a loop over both kinds would be slower for each. */
function textOfList(list: readonly JsonValue[], example: Example): string | undefined {
  const { values, starts, ends, text: known } = example;
  if (list.length !== values.length) return undefined;
  let text = '';
  let copied = 0;
  for (let index = 0; index < list.length; index += 1) {
    const member = list[index];
    if (member === values[index]) continue;
    const found = textOfMember(member, example, index);
    if (found === undefined) return undefined;
    text += pieceBefore(example, index, copied, starts[index] ?? 0) + found;
    copied = ends[index] ?? 0;
  }
  return copied === 0 ? known : text + pieceBefore(example, list.length, copied, known.length);
}

/** The example's text before a member. It is kept: mostly the members that differ are those that did before. */
function pieceBefore({ pieces, text }: Example, index: number, from: number, to: number): string {
  const kept = pieces[index];
  if (kept !== undefined && kept.from === from && kept.text.length === to - from) return kept.text;
  const piece = { from, text: text.slice(from, to) };
  pieces[index] = piece;
  return piece.text;
}

function textOfMember(value: unknown, { inner }: Example, index: number): string | undefined {
  switch (typeof value) {
    case 'string':
      return quote(value);
    case 'number':
      return textOfNumber(value);
    case 'boolean':
      return value ? 'true' : 'false';
    case 'object': {
      if (value === null) return 'null';
      return keptTexts.get(value) ?? textOfObject(value, inner[index]);
    }
    default:
      return undefined;
  }
}

/** Times are too large for the engine's quick way to their digits: each half of them is not. */
function textOfNumber(value: number): string {
  if (value < 1e9 || !Number.isSafeInteger(value)) return Number.isFinite(value) ? String(value) : 'null';
  const high = Math.floor(value / 1e6);
  return `${high}${String(value - high * 1e6 + 1e6).slice(1)}`;
}

function textOfObject(value: object, example: Example | undefined): string | undefined {
  const isList = Array.isArray(value);
  if (example === undefined || example.isList !== isList) return JSON.stringify(value);
  return (isList ? textOfList(value, example) : textLike(value as JsonObject, example)) ?? JSON.stringify(value);
}

function withParts(metadata: string, { uid, sequence, logged_time }: LogParts): string {
  const more = `"uid":${quote(uid)},"sequence":${sequence},"logged_time":${textOfNumber(logged_time)}}`;
  return metadata === '{}' ? `{${more}` : `${metadata.slice(0, -1)},${more}`;
}

// What JSON.stringify writes otherwise than it stands: control characters, quotes, backslashes and halves of surrogates.
const escaped = /[^ !#-[\]-\ud7ff\ue000-\uffff]/;

function quote(text: string): string {
  return isEscaped(text) ? JSON.stringify(text) : `"${text}"`;
}

/** Whether JSON writes a text otherwise than it stands. */
function isEscaped(text: string): boolean {
  if (text.length > shortLength) return escaped.test(text);
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    if (code < 0x20 || code === 0x22 || code === 0x5c || (code >= 0xd800 && code <= 0xdfff)) return true;
  }
  return false;
}

/** Up to this length a loop is sooner done than a regular expression is begun. */
const shortLength = 24;

/** `undefined` for what has a member that JSON leaves out. */
function exampleOf(value: JsonObject | readonly JsonValue[]): Example | undefined {
  const isList = Array.isArray(value);
  const [keys, values, starts, ends, inner]: [string[], unknown[], number[], number[], (Example | undefined)[]] = [
    [],
    [],
    [],
    [],
    [],
  ];
  let text = isList ? '[' : '{';
  for (const [key, member] of Object.entries(value as JsonObject)) {
    const found = JSON.stringify(member);
    if (found === undefined) return undefined;
    text += `${keys.length === 0 ? '' : ','}${isList ? '' : `${JSON.stringify(key)}:`}`;
    const isObject = typeof member === 'object' && member !== null;
    keys.push(key);
    // What is not frozen may change later and be the same object still; a symbol is equal to nothing in an event.
    values.push(isObject && !isDeeplyFrozen(member) ? Symbol('changing') : member);
    inner.push(isObject ? exampleOf(member as JsonObject) : undefined);
    starts.push(text.length);
    text += found;
    ends.push(text.length);
  }
  const isText = Object.values(value).map((member) => typeof member === 'string');
  return { isList, keys, values, starts, ends, inner, isText, text: `${text}${isList ? ']' : '}'}`, pieces: [] };
}
