import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { ExecutionContext } from 'ava';

/** Compares text with a golden file, byte for byte. With `UPDATE_GOLDEN=1` in the environment it writes the file instead. */
export function matchesGolden(t: ExecutionContext, file: string, text: string): void {
  if (process.env['UPDATE_GOLDEN'] === '1') {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  }
  t.true(existsSync(file), `${file} is missing; UPDATE_GOLDEN=1 writes it`);
  t.is(text, readFileSync(file, 'utf8'), `${file} differs; after a look, UPDATE_GOLDEN=1 rewrites it`);
}
