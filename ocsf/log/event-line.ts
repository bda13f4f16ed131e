import { escapeText } from '../../base/index.ts';
import type { LogLine } from './line-splitter.ts';

/** A line of an event log: an event, as it stands in the file and parsed, or what is wrong with it. Numbers begin at 1. */
export type EventLine =
  | { readonly kind: 'event'; readonly number: number; readonly text: string; readonly event: object }
  | { readonly kind: 'broken'; readonly number: number; readonly problem: string };

/** Parses a line. One that is no JSON object is broken, and what is shown of it is escaped. */
export function parseEventLine(line: LogLine): EventLine {
  const { number } = line;
  if (line.kind === 'broken') return { kind: 'broken', number, problem: line.problem };
  const text = line.bytes.toString('utf8');
  let event: unknown;
  try {
    event = JSON.parse(text);
  } catch {
    return { kind: 'broken', number, problem: `it is no JSON: "${escapeText(text, 160)}"` };
  }
  if (typeof event === 'object' && event !== null && !Array.isArray(event)) {
    return { kind: 'event', number, text, event };
  }
  return { kind: 'broken', number, problem: `it is no JSON object: "${escapeText(text, 160)}"` };
}

/** The `metadata.sequence` of an event, from 1, or `undefined` where it has none. */
export function sequenceOf(event: unknown): number | undefined {
  const sequence = memberOf(memberOf(event, 'metadata'), 'sequence');
  return typeof sequence === 'number' && Number.isSafeInteger(sequence) && sequence >= 1 ? sequence : undefined;
}

/** The `metadata.sequence` of a line, or `undefined` where it is no event or has none. */
export function sequenceOfLine(line: LogLine): number | undefined {
  const parsed = parseEventLine(line);
  return parsed.kind === 'event' ? sequenceOf(parsed.event) : undefined;
}

function memberOf(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, key) ? Reflect.get(value, key) : undefined;
}
