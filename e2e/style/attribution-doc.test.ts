import { readFileSync, writeFileSync } from 'node:fs';
import test from 'ava';
import { originReasons } from '../../channel/index.ts';
import { renderCases } from '../support/attribution-cases.ts';

const page = 'docs/attribution.md';
const [begin, end] = ['<!-- generated from the cases of the tests: begin -->', '<!-- generated: end -->'];

test('docs/attribution.md: the generated part is what the kernel tests hold to be true', (t) => {
  const text = readFileSync(page, 'utf8');
  const [before, rest = ''] = text.split(begin);
  t.true(rest.includes(end), `${page} has both marks`);
  const wanted = `${before}${begin}\n\n${renderCases(originReasons)}\n\n${rest.slice(rest.indexOf(end))}`;
  if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(page, wanted);
  t.is(readFileSync(page, 'utf8'), wanted, 'after a look, UPDATE_GOLDEN=1 rewrites it');
});
