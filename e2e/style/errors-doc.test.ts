import { readFileSync } from 'node:fs';
import test from 'ava';
import { errorCodes } from '../../base/index.ts';

const text = readFileSync('docs/errors.md', 'utf8');

/** Each section by its code. */
const sections: ReadonlyMap<string, string> = new Map(
  text
    .split(/^## /m)
    .slice(1)
    .map((section) => [section.split('\n')[0] ?? '', section]),
);

const statuses: Readonly<Record<string, string>> = { COMMAND_NOT_FOUND: '127', COMMAND_NOT_EXECUTABLE: '126' };

test('docs/errors.md has a section for each error code, in the order of errorCodes, and no other', (t) => {
  t.deepEqual([...sections.keys()], Object.keys(errorCodes));
  t.is(text.match(/^## /gm)?.length, sections.size, 'no code twice');
});

for (const [code, meaning] of Object.entries(errorCodes)) {
  test(`docs/errors.md says of ${code} what it means, when it comes, what to do and the exit status`, (t) => {
    const lines = (sections.get(code) ?? '').split('\n').filter((line) => line !== '');
    t.is(lines[1], meaning);
    t.regex(lines[2] ?? '', /^- \*\*When:\*\* \S.{20,}[.]$/);
    t.regex(lines[3] ?? '', /^- \*\*What to do:\*\* \S.{10,}[.]$/);
    t.is(lines[4], `- **Exit status:** ${statuses[code] ?? '125'}`);
    t.is(lines.length, 5);
  });
}
