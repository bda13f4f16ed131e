/**
 * Text that a workload or a guest chose is hostile: it may hold terminal control sequences, newlines that forge a
 * second line, or bidirectional marks that reorder what a person reads. These functions make it safe to print.
 */

// By property of Unicode: control characters (C0, DEL, C1), format characters (bidirectional marks, tags, soft hyphen,
// zero-width), line and paragraph separators, lone surrogates, and whatever else shows as nothing. A backslash is escaped
// too, so that the output is unambiguous.
const unsafe = /[\\\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu;

/**
 * Returns `text` on one line with every character escaped that could change how a terminal or a person reads it.
 * Longer text is cut to `maxLength` characters and ends in `…`.
 *
 * Example: `escapeText('a\x1b[31m\n')` is `a\\x1b[31m\\n`.
 */
export function escapeText(text: string, maxLength = 4096): string {
  const cut = text.length > maxLength ? `${text.slice(0, maxLength)}…` : text;
  return cut.replace(unsafe, escapeMatch);
}

/**
 * Like {@link escapeText} for text that was escaped already where it came from: backslashes stay as they are, so that
 * nothing is escaped twice, and what the other side did not escape is.
 */
export function sanitizeText(text: string, maxLength = 4096): string {
  return escapeText(text, maxLength).replaceAll('\\\\', '\\');
}

/** Like {@link escapeText}, in double quotes where the result holds a space or a quote, or is empty. */
export function quoteText(text: string, maxLength = 4096): string {
  const escaped = escapeText(text, maxLength);
  return escaped === '' || /[\s"]/.test(escaped) ? `"${escaped.replaceAll('"', '\\"')}"` : escaped;
}

function escapeMatch(match: string): string {
  if (match === '\\') return '\\\\';
  if (match === '\n') return '\\n';
  if (match === '\r') return '\\r';
  if (match === '\t') return '\\t';
  const codePoint = match.codePointAt(0) ?? 0;
  if (codePoint <= 0xff) return `\\x${codePoint.toString(16).padStart(2, '0')}`;
  return `\\u{${codePoint.toString(16)}}`;
}
