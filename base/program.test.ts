import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { withDir } from 'tmp-promise';
import { programCommand, programLoader } from './program.ts';
import { run } from './runner.ts';

const text = `
const { basename } = require('node:path');
const late = () => 'late';
console.log([basename(__filename), basename(__dirname) !== '', late(), typeof require('./other.cjs'), ...process.argv.slice(3)].join(' '));
`;

/** A program with a file that it requires, in a folder of its own. */
async function withProgram(body: (file: string) => Promise<void>): Promise<void> {
  await withDir(
    async ({ path }) => {
      const file = join(path, 'main.cjs');
      await writeFile(file, text);
      await writeFile(join(path, 'other.cjs'), 'module.exports = 1;\n');
      await body(file);
    },
    { unsafeCleanup: true },
  );
}

const output = async (file: string): Promise<string> => (await run([...programCommand(file), 'a', 'b'])).stdout;

test('load-program: a program runs the same with the code that was made of it, and without', async (t) => {
  await withProgram(async (file) => {
    const said = 'main.cjs true late number a b\n';
    t.is(await output(file), said);
    await run([process.execPath, programLoader, '--make', file]);
    const code = await readFile(`${file}.code`);
    t.true(code.length > 200);
    t.is(await output(file), said);
    for (const broken of [Buffer.alloc(0), code.subarray(0, 100), Buffer.alloc(code.length), Buffer.from('no code')]) {
      await writeFile(`${file}.code`, broken);
      t.is(await output(file), said, `${broken.length} bytes`);
    }
  });
});

test('load-program: V8 takes the code that was made', async (t) => {
  await withProgram(async (file) => {
    await run([process.execPath, programLoader, '--make', file]);
    // What is taken is what was compiled, whatever the text says: only the length is compared.
    await writeFile(file, text.replace("'late'", "'LATE'"));
    t.regex(await output(file), / late /);
    // So it is made anew with each text.
    await run([process.execPath, programLoader, '--make', file]);
    t.regex(await output(file), / LATE /);
  });
});

test('load-program: a program that is not there is an error that names it', async (t) => {
  await withProgram(async (file) => {
    const { status, stderr } = await run(programCommand(`${file}.missing`), { okStatuses: [1] });
    t.is(status, 1);
    t.regex(stderr, /ENOENT.*main\.cjs\.missing/);
  });
});

// One character beyond Latin-1 makes V8 keep a whole program with two bytes for each character, and Node decode it.
for (const bundle of ['cli/main.cjs', 'driver-vm/unprivileged/main.cjs', 'supervisor.cjs']) {
  test(`build/${bundle} is ASCII, so that it loads quickly`, async (t) => {
    const lines = (await readFile(`build/${bundle}`, 'utf8')).split('\n');
    // Strings are escaped by the bundler, comments within classes are not.
    t.deepEqual(
      lines.filter((line) => [...line].some((character) => character > '\u007f')),
      [],
    );
  });
}
