import { readFileSync, writeFileSync } from 'node:fs';
import test from 'ava';
import { commonFields, mappedEvents, renderMapping } from '../e2e/support/ocsf-mapping.ts';
import { samples } from '../e2e/support/sample-events.ts';
import type { EventBody } from './index.ts';

const page = 'docs/ocsf-mapping.md';
const [begin, end] = ['<!-- generated from the samples of the tests: begin -->', '<!-- generated: end -->'];

test('docs/ocsf-mapping.md: the generated part is what the builders give', (t) => {
  const text = readFileSync(page, 'utf8');
  const [before, rest = ''] = text.split(begin);
  const after = rest.slice(rest.indexOf(end));
  t.true(rest.includes(end), `${page} has both marks`);
  const wanted = `${before}${begin}\n\n${renderMapping(samples)}\n\n${after}`;
  if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(page, wanted);
  t.is(readFileSync(page, 'utf8'), wanted, 'after a look, UPDATE_GOLDEN=1 rewrites it');
});

const emitted = Object.entries(samples).filter(([name]) => !name.startsWith('generic-'));

test('docs/ocsf-mapping.md: every event that the builders make is told of, and no other', (t) => {
  const codes = new Set(emitted.map(([, { metadata }]) => (metadata as { event_code?: string }).event_code));
  t.deepEqual(new Set(mappedEvents.map(({ code }) => code)), codes as Set<string>);
});

/** The paths of an event, lists passed over: `a`, `a.b`, `a.b.c`. */
function pathsOf(value: unknown, path: string): readonly string[] {
  if (Array.isArray(value)) return value.flatMap((item) => pathsOf(item, path));
  if (typeof value !== 'object' || value === null) return [path];
  return Object.entries(value).flatMap(([key, part]) => pathsOf(part, path === '' ? key : `${path}.${key}`));
}

/** Whether a name of the page means a path: it itself, what is below it, or `x.*` what is below `x`. */
function means(name: string, path: string): boolean {
  const bare = name.endsWith('.*') ? name.slice(0, -2) : name;
  return path === bare || path.startsWith(`${bare}.`);
}

const namesOf = (fields: Readonly<Record<string, string>>): readonly string[] =>
  Object.keys(fields).flatMap((names) => names.split(', '));

for (const { code, fields } of mappedEvents) {
  const events = emitted.filter(([, { metadata }]) => (metadata as { event_code?: string }).event_code === code);
  const paths = new Set(events.flatMap(([, event]: [string, EventBody]) => pathsOf(event, '')));

  test(`docs/ocsf-mapping.md: ${code} has no attribute without a meaning, and no meaning without an attribute`, (t) => {
    const names = [...namesOf(commonFields), ...namesOf(fields)];
    t.deepEqual(
      [...paths].filter((path) => !names.some((name) => means(name, path))),
      [],
    );
    t.deepEqual(
      namesOf(fields).filter((name) => ![...paths].some((path) => means(name, path))),
      [],
    );
  });
}
