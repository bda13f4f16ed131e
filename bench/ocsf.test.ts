import test from 'ava';
import { schemaAvailable } from '../e2e/support/ocsf-schema.ts';
import { measureEvents } from './ocsf-events.ts';
import { measureSideBySide } from './ocsf-part.ts';
import { measureWriting } from './ocsf-write.ts';

test('measureSideBySide: what takes twice as long is half as fast, and each is run in every round', (t) => {
  const counts = { slow: 0, slower: 0 };
  const count = (name: 'slow' | 'slower', loops: number): void => {
    let sum = 0;
    for (let index = 0; index < loops; index += 1) sum += Math.sqrt(index + sum);
    if (sum > 0) counts[name] += 1;
  };
  const works = [
    { name: 'slow', what: 'slow', once: () => count('slow', 20_000) },
    { name: 'slower', what: 'slower', once: () => count('slower', 200_000) },
  ];
  const { slow, slower } = measureSideBySide(works, { rounds: 3, roundMs: 20 });
  t.true(counts.slow >= 400 && counts.slower >= 400);
  t.true((slow?.perSecond ?? 0) > 3 * (slower?.perSecond ?? 0));
  t.true((slow?.best ?? 0) >= (slow?.perSecond ?? 0));
});

test('measureEvents: has the figures that have a bound, each of an event that is valid', async (t) => {
  const { figures, rows } = await measureEvents(() => undefined, { rounds: 1, roundMs: 20 });
  const ours = ['pipeline', 'recorder', 'build', 'build_json', 'validate', 'pino'];
  const names = ours.map((name) => `${name}_per_s`);
  t.deepEqual(Object.keys(figures), schemaAvailable() === undefined ? [...names, 'ajv_per_s'] : names);
  for (const [name, value] of Object.entries(figures)) t.true(value > 100, name);
  t.is(rows.length, 8);
});

test('measureWriting: writes in each of the ways, and leaves nothing', async (t) => {
  const { figures, rows } = await measureWriting(() => undefined, { rounds: 1, roundMs: 20 });
  t.deepEqual(Object.keys(figures), ['write_per_s', 'append_per_s', 'write_alone_per_s']);
  for (const [name, value] of Object.entries(figures)) t.true(value > 100, name);
  t.is(rows.length, 3);
});
