import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { dir } from 'tmp-promise';
import { isTapwardenError } from '../base/errors.ts';
import type { Run } from '../base/runner.ts';
import { ensureWorkloadImage, selectAptOptions } from './workload-image.ts';

const noProgram: Run = (argv) => Promise.reject(new Error(`no program should run: ${argv.join(' ')}`));

/** A state directory with one image named `mine`, and beside it a file that is no image. */
async function stateDir(t: ExecutionContext): Promise<string> {
  const { path, cleanup } = await dir({ prefix: 'tapwarden-workload-', unsafeCleanup: true });
  t.teardown(cleanup);
  await mkdir(join(path, 'images/workload'), { recursive: true });
  const image = Buffer.alloc(4096);
  image.writeUInt16LE(0xef53, 1024 + 0x38);
  await writeFile(join(path, 'images/workload/mine.ext4'), image);
  await writeFile(join(path, 'images/workload/empty.ext4'), '');
  return path;
}

const ask = (path: string, name: string) =>
  ensureWorkloadImage({ stateDir: path, name, run: noProgram, onProgress: () => undefined });

test('ensureWorkloadImage finds an image by name and by path', async (t) => {
  const path = await stateDir(t);
  const image = join(path, 'images/workload/mine.ext4');
  t.deepEqual(await ask(path, 'mine'), { name: 'mine', path: image });
  t.deepEqual(await ask(path, image), { name: image, path: image });
});

for (const name of ['other', 'empty', '../mine', '/dev/null', '/nowhere/x.ext4', '', 'a\u001b[31mb', 'x'.repeat(300)]) {
  test(`ensureWorkloadImage refuses ${JSON.stringify(name.slice(0, 20))} and names what is there`, async (t) => {
    const error = await t.throwsAsync(ask(await stateDir(t), name));
    t.true(isTapwardenError(error, 'IMAGE_NOT_FOUND'), String(error));
    t.regex(error?.message ?? '', /There are: default, empty, mine\./);
    t.notRegex(error?.message ?? '', /\u001b/);
  });
}

test('selectAptOptions takes the settings of the transport that are not empty', (t) => {
  const dump = [
    'Acquire "";',
    'Acquire::http "";',
    'Acquire::http::Proxy "http://127.0.0.1:3142";',
    'Acquire::https::Verify-Peer "true";',
    'Acquire::Languages "none";',
    '',
  ].join('\n');
  t.deepEqual(selectAptOptions(dump), [
    'Acquire::http::Proxy "http://127.0.0.1:3142"',
    'Acquire::https::Verify-Peer "true"',
  ]);
});
