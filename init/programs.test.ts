import { chmod, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { dir } from 'tmp-promise';
import { isTapwardenError } from '../base/errors.ts';
import { findProgram } from './programs.ts';

test('findProgram searches the path in order and follows links', async (t) => {
  const { path, cleanup } = await dir({ prefix: 'tapwarden-programs-', unsafeCleanup: true });
  t.teardown(cleanup);
  await writeFile(join(path, 'real'), '');
  await chmod(join(path, 'real'), 0o755);
  await symlink('real', join(path, 'nft'));
  t.is(await findProgram('nft', `relative:/nowhere:${path}:/usr/sbin`), join(path, 'real'));
});

test('findProgram names the package of what is missing', async (t) => {
  // It stands in /usr/bin, which an empty path leaves out.
  const error = await t.throwsAsync(findProgram('setpriv', ''));
  t.true(isTapwardenError(error, 'PROGRAM_MISSING'));
  t.regex(error?.message ?? '', /apt-get install util-linux/);
});
