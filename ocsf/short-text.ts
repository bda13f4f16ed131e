import { quoteText } from '../base/index.ts';

/** Characters that a field of the shorthand has at most, by what it holds. */
export const shortLimits = {
  /** Ids, captions, names of rules and programs. */
  name: 80,
  /** Hosts, URLs, commands. */
  target: 255,
  /** Sentences. */
  sentence: 400,
} as const;

/** Visible characters of ASCII, but for those that are escaped or may call for quotes. */
const plain = /^[!#-<?-Z\]-~]+$/;
/** What another part of the line begins with: `rule=`, `>`, or a bracket that is not the one of an address. */
const partLike = /^[\w-]*=|^>|^\[(?![\da-f:.]+\])/i;

/**
 * The value at a path of own properties, or `undefined`. An element of a list is named by its number. Example:
 * `at(event, 'evidences.0.dst_endpoint')`.
 */
export function at(event: object, path: string): unknown {
  let value: unknown = event;
  for (let from = 0; from <= path.length; ) {
    const dot = path.indexOf('.', from);
    const key = path.slice(from, dot === -1 ? path.length : dot);
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
    value = (value as Readonly<Record<string, unknown>>)[key];
    from += key.length + 1;
  }
  return value;
}

/** The number at a path, or `undefined`. */
export function numberAt(event: object, path: string): number | undefined {
  const value = at(event, path);
  return typeof value === 'number' ? value : undefined;
}

/** The text or number at the first of the paths that holds one, safe to print; `undefined` when none does. */
export function textAt(event: object, paths: string | readonly string[], limit: number = shortLimits.name) {
  for (const path of typeof paths === 'string' ? [paths] : paths) {
    const value = at(event, path);
    if ((typeof value === 'string' && value !== '') || typeof value === 'number') return safeText(value, limit);
  }
  return undefined;
}

/** Like {@link textAt} for captions: lower case, one word. Example: `'At Risk'` is `at-risk`. */
export function wordAt(event: object, path: string): string | undefined {
  const value = at(event, path);
  return typeof value === 'string' && value !== '' ? word(value) : undefined;
}

/** A caption as one word in lower case, safe to print. */
export function word(caption: string): string {
  return safeText(
    caption
      .slice(0, 2 * shortLimits.name)
      .toLowerCase()
      .replaceAll(' ', '-'),
    shortLimits.name,
  );
}

/**
 * Any JSON value on one line; of a list or an object only that it is one. Every character is escaped that could change how
 * a terminal or a person reads it, the whole is quoted where it holds spaces or looks like another part of the line, and it
 * has at most `limit` characters, quotes and escapes included.
 */
export function safeText(value: unknown, limit: number): string {
  const text = typeof value === 'string' ? value : nameOf(value);
  // Most texts need nothing, and this tells sooner than the properties of Unicode do.
  if (text.length <= limit && plain.test(text)) return text;
  let length = Math.min(text.length, limit);
  for (;;) {
    const quoted = quoteText(text, length);
    const safe = partLike.test(quoted) ? `"${quoted}"` : quoted;
    if (safe.length <= limit || length === 0) return safe;
    length = Math.min(length - 1, Math.floor((length * limit) / safe.length));
    // No half of a pair, which would be shown as an escape that stands nowhere in the text.
    if (/[\ud800-\udbff]/.test(text.charAt(length - 1))) length = Math.max(0, length - 1);
  }
}

/** Not by JSON.stringify, which fails where hostile lists are nested deeply. */
function nameOf(value: unknown): string {
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? '[…]' : '{…}';
  return String(value);
}

/** `[prefix + text]`, or nothing where there is no text. */
export function prefixed(prefix: string, text: string | number | undefined): readonly string[] {
  return text === undefined ? [] : [`${prefix}${text}`];
}
