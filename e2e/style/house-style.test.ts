import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import test from 'ava';

const folders = [
  'base',
  'nft',
  'policy',
  'ocsf',
  'proxy',
  'channel',
  'init',
  'supervisor',
  'driver-vm',
  'cli',
  'bench',
  'e2e',
];
const maxLines = 400;
const maxTestLines = 500;
/** Files that are to be cut into parts, and how long they may be until then. */
const tooLong: Readonly<Record<string, number>> = { 'driver-vm/sandbox.ts': 430 };

const files: readonly string[] = folders.flatMap((folder) =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(folder, name)),
);
const isTest = (file: string): boolean => /\.test\.ts$/.test(file);
const sources = files.filter((file) => !isTest(file));

/** Exported declarations of a text that no docstring stands before, as `name`. Re-exports have theirs where they stand. */
function undocumented(text: string): readonly string[] {
  const lines = text.split('\n');
  return lines.flatMap((line, index) => {
    const name =
      /^export (?:declare )?(?:async )?(?:function\*?|const|class|abstract class|type|interface) ([\w$]+)/.exec(
        line,
      )?.[1];
    if (name === undefined || /^export type \{/.test(line)) return [];
    return lines[index - 1]?.trim().endsWith('*/') === true ? [] : [name];
  });
}

test('house style: what is exported has a docstring', (t) => {
  t.true(sources.length > 100, 'the sources are found');
  t.deepEqual(
    sources.flatMap((file) => undocumented(readFileSync(file, 'utf8')).map((name) => `${file}: ${name}`)),
    [],
  );
});

test('house style: a planted export without a docstring is found', (t) => {
  t.deepEqual(undocumented('/** Says a. */\nexport const a = 1;\nexport function b() {}\n\nexport type C = 1;\n'), [
    'b',
    'C',
  ]);
});

test(`house style: no file is longer than ${maxLines} lines, tests than ${maxTestLines}`, (t) => {
  const long = files
    .map((file) => ({ file, lines: readFileSync(file, 'utf8').split('\n').length - 1 }))
    .filter(({ file, lines }) => lines > (tooLong[file] ?? (isTest(file) ? maxTestLines : maxLines)));
  t.deepEqual(long, []);
});

test('house style: file names are kebab-case', (t) => {
  const odd = files.filter(
    (file) => !/^[a-z0-9]+(?:-[a-z0-9]+)*(?:\.(?:kernel|vm))?(?:\.test)?\.ts$/.test(basename(file)),
  );
  t.deepEqual(odd, []);
});

test('house style: no default export, no enum, no any', (t) => {
  const breaches = files.flatMap((file) => {
    const text = readFileSync(file, 'utf8');
    return [/^export default /m, /^(?:export )?(?:const )?enum /m, /(?::|as|<) any\b(?! )/].flatMap((pattern) =>
      pattern.test(text) ? [`${file}: ${pattern.source}`] : [],
    );
  });
  t.deepEqual(breaches, []);
});
