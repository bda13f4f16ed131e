import { createHash } from 'node:crypto';
import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Run } from '../base/runner.ts';
import type { Progress } from './build-step.ts';
import { unpackDebianPackage } from './debian-package.ts';
import { ensureEntry } from './image-store.ts';

/**
 * Returns the path of `accton`, which makes the guest's kernel record how each process ended. It is taken out of Debian's
 * package `acct` and not installed on the host, where that package would switch accounting on.
 *
 * @throws IMAGE_BUILD_FAILED when apt cannot fetch it
 * @throws PROGRAM_MISSING, DISK_FULL, LOCK_TIMEOUT
 */
export async function ensureAccton(options: {
  readonly stateDir: string;
  readonly run: Run;
  readonly onProgress: Progress;
  readonly path: string;
  readonly mayBuild?: boolean;
}): Promise<string> {
  // One system call, the same in every version of the package: fetched once.
  const hash = createHash('sha256').update('accton 1').digest('hex').slice(0, 16);
  const directory = await ensureEntry({
    store: join(options.stateDir, 'images', 'accton'),
    hash,
    onProgress: options.onProgress,
    mayBuild: options.mayBuild ?? true,
    build: async (target) => {
      const scratch = await mkdtemp(`${target}-scratch-`);
      try {
        const root = await unpackDebianPackage({ name: 'acct' }, scratch, { ...options, what: 'process accounting' });
        await copyFile(join(root, 'usr/sbin/accton'), join(target, 'accton'));
      } finally {
        await rm(scratch, { recursive: true, force: true });
      }
    },
  });
  return join(directory, 'accton');
}
