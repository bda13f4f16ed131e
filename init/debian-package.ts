import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { TapwardenError } from '../base/errors.ts';
import type { Run } from '../base/runner.ts';
import { buildStep, type Progress } from './build-step.ts';
import { findProgram } from './programs.ts';

/** A package of Debian's archive. Without a version, the one that apt would install. */
export type DebianPackage = { readonly name: string; readonly version?: string };

/** How it is fetched. */
export type FetchOptions = {
  readonly run: Run;
  readonly onProgress: Progress;
  /** Where programs are searched, as in `$PATH`. */
  readonly path: string;
  /** What the progress lines begin with, for example `guest kernel`. */
  readonly what: string;
};

/**
 * Downloads a package through apt and unpacks it below the empty directory `scratch`, without installing it: nothing of
 * it runs, and the host keeps no trace. Returns the directory that holds its files.
 *
 * @throws IMAGE_BUILD_FAILED when apt has no such package or cannot fetch it
 * @throws PROGRAM_MISSING with the Debian package to install
 */
export async function unpackDebianPackage(
  { name, version }: DebianPackage,
  scratch: string,
  { run, onProgress, path, what }: FetchOptions,
): Promise<string> {
  const aptGet = await findProgram('apt-get', path);
  const dpkgDeb = await findProgram('dpkg-deb', path);
  const wanted = version === undefined ? name : `${name}=${version}`;
  await buildStep(onProgress, `${what}: downloading ${wanted.replace('=', ' ')}`, () =>
    run([aptGet, 'download', wanted], { cwd: scratch, timeoutMs: 600_000 }),
  );
  const root = join(scratch, 'root');
  await buildStep(onProgress, `${what}: unpacking`, async () => {
    const file = (await readdir(scratch)).find((entry) => entry.endsWith('.deb'));
    if (file === undefined) {
      throw new TapwardenError('IMAGE_BUILD_FAILED', { message: `apt downloaded nothing for ${wanted}` });
    }
    await run([dpkgDeb, '-x', join(scratch, file), root], { timeoutMs: 120_000 });
  });
  return root;
}
