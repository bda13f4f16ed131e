import { escapeText } from '../base/index.ts';

/** The last lines of a guest's console, escaped and indented. */
export function consoleLinesOf(text: string): string {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  if (lines.length === 0) return '  (it wrote nothing)';
  return lines
    .slice(-15)
    .map((line) => `  ${escapeText(line.trimEnd(), 200)}`)
    .join('\n');
}
