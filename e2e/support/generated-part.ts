import { readFileSync, writeFileSync } from 'node:fs';
import type { ExecutionContext } from 'ava';

const end = '<!-- generated: end -->';

/**
 * Asserts that a page has, between `<!-- generated from WHAT: begin -->` and `<!-- generated: end -->`, the text that
 * follows from it. With `UPDATE_GOLDEN=1` in the environment it writes the text there instead.
 */
export function holdsGenerated(t: ExecutionContext, page: string, what: string, text: string): void {
  const begin = `<!-- generated from ${what}: begin -->`;
  const [before, rest = '', ...more] = readFileSync(page, 'utf8').split(begin);
  t.true(rest.includes(end) && more.length === 0, `${page} has both marks, once: ${begin}`);
  const wanted = `${before}${begin}\n\n${text}\n\n${rest.slice(rest.indexOf(end))}`;
  if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(page, wanted);
  t.is(readFileSync(page, 'utf8'), wanted, 'after a look, UPDATE_GOLDEN=1 rewrites it');
}

/** A table of a page: its head, and a line for each row. A cell that is code stands in backquotes already. */
export function renderTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), `|${head.map(() => '---').join('|')}|`, ...rows.map(line)].join('\n');
}

/** Words of a table that are code. Example: `['a', 'b']` is `` `a`, `b` ``. */
export function code(words: readonly string[]): string {
  return words.map((word) => `\`${word}\``).join(', ');
}
