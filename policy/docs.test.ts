import { readFileSync } from 'node:fs';
import test from 'ava';
import { messageOf } from '../base/errors.ts';
import { parseAllow } from './allow.ts';
import { parsePolicy } from './parse.ts';
import { specialRanges } from './special-range.ts';

const page = readFileSync('docs/policy.md', 'utf8');
const blocks = (language: string) =>
  [...page.matchAll(/^```([^\n]*)\n(.*?)^```$/gms)]
    .filter((match) => match[1] === language)
    .map((match) => match[2] ?? '');

test('docs/policy.md: every example is a policy', (t) => {
  const examples = blocks('yaml');
  t.true(examples.length >= 4);
  for (const text of examples) t.notThrows(() => parsePolicy(text, { file: 'policy.yaml' }), text);
});

test('docs/policy.md: the invalid example has the error that the page shows', (t) => {
  const [text] = blocks('yaml invalid');
  const error = t.throws(() => parsePolicy(text ?? '', { file: 'policy.yaml' }));
  t.is(`${messageOf(error)}\n`, blocks('text error')[0] ?? '');
});

test('docs/policy.md: every --allow is read', (t) => {
  const lines = blocks('text').flatMap((block) => block.split('\n').filter((line) => line.startsWith('--allow ')));
  t.is(lines.length, 4);
  for (const line of lines) t.notThrows(() => parseAllow(line.replace('--allow ', '').replaceAll("'", ''), 1), line);
});

test('docs/policy.md: names every special range', (t) => {
  for (const name of ['host', ...specialRanges.map((each) => each.name)]) {
    t.regex(page, new RegExp(`^\\|.*\`${name}\`.*\\|$`, 'm'), name);
  }
});
