import { escapeText } from '../base/index.ts';
import { maxLineBytes } from '../ocsf/index.ts';

/** A line of an event log: an event, as it stands in the file and parsed, or what is wrong with it. Numbers begin at 1. */
export type EventLine =
  | { readonly kind: 'event'; readonly number: number; readonly text: string; readonly event: object }
  | { readonly kind: 'broken'; readonly number: number; readonly problem: string };

const newline = 0x0a;

/**
 * Reads an event log piece by piece, and holds at most one line of it in memory. A line that is longer than any event is
 * broken, and so is one that is no JSON object; the next line is read all the same. Empty lines are passed over.
 */
export async function* readEventLines(pieces: AsyncIterable<Buffer>): AsyncGenerator<EventLine> {
  let held: Buffer[] = [];
  let heldBytes = 0;
  let number = 0;
  const take = (piece: Buffer): void => {
    heldBytes += piece.length;
    // One byte more than is allowed is enough to know that the line is too long.
    if (heldBytes - piece.length <= maxLineBytes) held.push(piece);
  };
  const line = (): EventLine | undefined => {
    number += 1;
    const [bytes, size] = [Buffer.concat(held), heldBytes];
    held = [];
    heldBytes = 0;
    return size === 0 ? undefined : parseLine(bytes, size, number);
  };
  for await (const piece of pieces) {
    let from = 0;
    for (let at = piece.indexOf(newline); at >= 0; at = piece.indexOf(newline, from)) {
      take(piece.subarray(from, at));
      from = at + 1;
      const read = line();
      if (read !== undefined) yield read;
    }
    if (from < piece.length) take(piece.subarray(from));
  }
  const last = line();
  if (last !== undefined) yield last;
}

function parseLine(bytes: Buffer, size: number, number: number): EventLine {
  if (size > maxLineBytes) return { kind: 'broken', number, problem: `it is longer than ${maxLineBytes} bytes` };
  const text = bytes.toString('utf8');
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
