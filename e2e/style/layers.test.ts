import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import test from 'ava';

/** What each folder may import, beside itself. docs/design.md has the picture. */
const allowed: Readonly<Record<string, readonly string[]>> = {
  base: [],
  nft: ['base'],
  policy: ['base'],
  ocsf: ['base'],
  proxy: ['base', 'policy'],
  channel: ['base'],
  init: ['base'],
  supervisor: ['base', 'nft', 'policy', 'ocsf', 'proxy', 'channel', 'init'],
  'driver-vm': ['base', 'nft', 'policy', 'ocsf', 'proxy', 'channel', 'init'],
  cli: ['base', 'nft', 'policy', 'ocsf', 'proxy', 'channel', 'init', 'supervisor', 'driver-vm'],
};

/** Code that parses what a guest wrote runs without privilege, so it may not even name the code that has some. */
const unprivileged = 'driver-vm/unprivileged';

const sourcesOf = (folder: string): readonly string[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'))
    .map((name) => join(folder, name));

const importsOf = (text: string): readonly string[] =>
  [...text.matchAll(/(?:\bfrom\s+|\bimport\s*\(\s*|^import\s+)['"]([^'"]+)['"]/gm)].map((match) => match[1] ?? '');

/** The import breaches of one file, as `file -> import`. */
function breachesOf(file: string, text: string): readonly string[] {
  const layer = file.split('/')[0] ?? '';
  return importsOf(text)
    .filter((name) => name.startsWith('.'))
    .map((name) => relative('.', join(dirname(file), name)))
    .filter((target) => {
      const other = target.split('/')[0] ?? '';
      if (file.startsWith(`${unprivileged}/`) && other === 'driver-vm') {
        return !target.startsWith(`${unprivileged}/`) && !target.startsWith('driver-vm/shared/');
      }
      return other !== layer && !(allowed[layer] ?? []).includes(other);
    })
    .map((target) => `${file} -> ${target}`);
}

test('layers: no file imports from a layer above its own', (t) => {
  const files = Object.keys(allowed).flatMap(sourcesOf);
  t.true(files.length > 10, 'the sources are found');
  t.deepEqual(
    files.flatMap((file) => breachesOf(file, readFileSync(file, 'utf8'))),
    [],
  );
});

test('layers: a planted breach is found', (t) => {
  t.deepEqual(breachesOf('ocsf/planted.ts', "import { x } from '../nft/index.ts';"), [
    'ocsf/planted.ts -> nft/index.ts',
  ]);
  t.deepEqual(breachesOf('supervisor/planted.ts', "const x = await import('../driver-vm/slot.ts');"), [
    'supervisor/planted.ts -> driver-vm/slot.ts',
  ]);
  t.deepEqual(breachesOf('driver-vm/unprivileged/planted.ts', "import '../slot.ts';"), [
    'driver-vm/unprivileged/planted.ts -> driver-vm/slot.ts',
  ]);
});

test('layers: processes start in base/runner.ts alone', (t) => {
  const offenders = Object.keys(allowed)
    .flatMap(sourcesOf)
    .filter((file) => file !== 'base/runner.ts')
    .filter((file) =>
      importsOf(readFileSync(file, 'utf8')).some((name) => /^(execa|(node:)?child_process)$/.test(name)),
    );
  t.deepEqual(offenders, []);
});

/**
 * What a guest that is restored has of Node's own generators is what every other has: they live in its memory, and no seed of the
 * kernel reaches them.
 */
const nodeRandom = /\b(randomBytes|randomInt|randomUUID|randomFill(Sync)?|getRandomValues)\s*\(|\bMath\.random\b/;

test('layers: what we wrote that runs in a guest draws its random numbers from the kernel', (t) => {
  // Events, and what is random in them, are made on the host.
  const guest = ['supervisor', ...(allowed['supervisor'] ?? [])].filter((layer) => layer !== 'ocsf');
  const offenders = guest.flatMap(sourcesOf).filter((file) => nodeRandom.test(readFileSync(file, 'utf8')));
  t.deepEqual(offenders, []);
  t.regex('const port = randomInt(1024, 65_536);', nodeRandom);
});
