import { type LogPosition, positionBehind, readLog } from '../log/reader.ts';
import type { LogEntry } from './model.ts';

/**
 * Reads a log for a shipper: from behind `from`, or from its oldest line, and on as it grows where `follow` says so. A
 * last line without its newline is left for a later run, since its writer has not finished it.
 *
 * @throws FILE_UNREADABLE as `readLog` does
 */
export async function* readEntries(
  path: string,
  options: { readonly from?: LogPosition | undefined; readonly follow: boolean; readonly signal: AbortSignal },
): AsyncGenerator<LogEntry> {
  for await (const piece of readLog(path, options)) {
    if (piece.kind === 'notice') {
      yield { kind: 'notice', message: piece.message };
      continue;
    }
    for (const line of piece.lines) {
      if (line.kind === 'unfinished') yield { kind: 'notice', message: `the last line of ${path} has no end yet` };
      else yield { kind: 'line', line, position: () => positionBehind(piece, line) };
    }
  }
}
