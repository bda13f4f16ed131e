import { TapwardenError } from '../base/index.ts';
import type { JsonValue, LoggedEvent } from './event.ts';
import { markTruncated } from './finish.ts';

/** Bytes of a line of the log at most, its newline included. */
export const maxLineBytes = 1024 * 1024;

// Ids, addresses, captions and times are shorter than this, so what makes an event findable is never cut.
const minTextLength = 64;

type Text = { readonly path: readonly string[]; readonly value: string };

/**
 * Shortens the longest texts of an event, longest first, until its line holds at most `maxBytes` bytes; an event that
 * fits is returned as it is. A shortened one has `metadata.is_truncated`.
 *
 * @throws EVENT_INVALID when no shortening of texts makes it fit
 */
export function capLine(event: LoggedEvent, maxBytes: number = maxLineBytes): LoggedEvent {
  let current = event;
  for (let excess = excessOf(current, maxBytes); excess > 0; excess = excessOf(current, maxBytes)) {
    const text = longestText(current as unknown as JsonValue);
    if (text === undefined) {
      throw new TapwardenError('EVENT_INVALID', {
        message: `An event of ${excess + maxBytes} bytes cannot be shortened to ${maxBytes}: it has too many parts`,
        details: { maxBytes },
      });
    }
    const before = Buffer.byteLength(JSON.stringify(text.value));
    const kept = shorten(text.value, before, excess);
    const removed = before - Buffer.byteLength(JSON.stringify(kept));
    current = markTruncated(
      replaceAt(current as unknown as JsonValue, text.path, kept) as unknown as LoggedEvent,
      removed,
    );
  }
  return current;
}

function excessOf(event: LoggedEvent, maxBytes: number): number {
  return Buffer.byteLength(JSON.stringify(event)) + 1 - maxBytes;
}

/** Cuts about `excess` bytes of JSON, and the 64 that the marks of truncation need, off a text. */
function shorten(value: string, jsonBytes: number, excess: number): string {
  const share = Math.max(jsonBytes - excess - 64, 0) / jsonBytes;
  const length = Math.max(Math.min(Math.floor(value.length * share), value.length - 1), minTextLength);
  return value.slice(0, length).replace(/\p{Surrogate}/gu, '');
}

function longestText(event: JsonValue): Text | undefined {
  let longest: Text | undefined;
  for (const text of textsOf(event, [])) {
    if (text.value.length > (longest?.value.length ?? minTextLength)) longest = text;
  }
  return longest;
}

function* textsOf(value: JsonValue | undefined, path: readonly string[]): Generator<Text> {
  if (typeof value === 'string') yield { path, value };
  else if (typeof value === 'object') {
    for (const [key, part] of Object.entries(value)) yield* textsOf(part, [...path, key]);
  }
}

function replaceAt(value: JsonValue, path: readonly string[], text: string): JsonValue {
  const [key, ...rest] = path;
  if (key === undefined || typeof value !== 'object') return text;
  const replaced = Object.entries(value).map(([name, part]): [string, JsonValue | undefined] => [
    name,
    name === key && part !== undefined ? replaceAt(part, rest, text) : part,
  ]);
  if (!Array.isArray(value)) return Object.fromEntries(replaced);
  return replaced.flatMap(([, part]) => (part === undefined ? [] : [part]));
}
