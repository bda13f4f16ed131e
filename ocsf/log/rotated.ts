import { readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { errnoOf } from '../../base/index.ts';

/** A file that a log was rotated to, and the `metadata.sequence` of its first event. */
export type RotatedFile = { readonly path: string; readonly firstSequence: number };

/** Digits that a sequence number has in a name at least, so that names sort as the numbers do. */
const digits = 12;

/** Where the log `path` is rotated to. Example: `rotatedPath('/e.jsonl', 501)` is `'/e.jsonl.000000000501'`. */
export function rotatedPath(path: string, firstSequence: number): string {
  return `${path}.${String(firstSequence).padStart(digits, '0')}`;
}

/** The files of `names` that the log `path` was rotated to, the oldest first. */
export function rotatedFilesOf(path: string, names: readonly string[]): readonly RotatedFile[] {
  const prefix = `${basename(path)}.`;
  return names
    .filter((name) => name.startsWith(prefix) && /^\d{12,16}$/.test(name.slice(prefix.length)))
    .map((name) => ({ path: join(dirname(path), name), firstSequence: Number(name.slice(prefix.length)) }))
    .sort((a, b) => a.firstSequence - b.firstSequence);
}

/** The files that the log `path` was rotated to, the oldest first; none where the folder is not there. */
export function listRotated(path: string): readonly RotatedFile[] {
  try {
    return rotatedFilesOf(path, readdirSync(dirname(path)));
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return [];
    throw error;
  }
}
