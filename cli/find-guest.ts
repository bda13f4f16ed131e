import { access, constants } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { type Run, TapwardenError } from '../base/index.ts';
import { ensureGuest, type GuestImage } from '../init/index.ts';
import { packageRoot } from './package-info.ts';

/** Where a guest is looked for. */
export type FindGuestOptions = {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stateDir: string;
  readonly run: Run;
  readonly onProgress: (line: string) => void;
  /** Whether a guest that is not there is built. @default true */
  readonly mayBuild?: boolean;
};

/**
 * The guest that `TAPWARDEN_GUEST_DIR` names, or the one that belongs to this build.
 *
 * @throws IMAGE_NOT_FOUND when the folder lacks a part of a guest
 * @throws what `ensureGuest` throws
 */
export async function findGuest({ env, ...options }: FindGuestOptions): Promise<GuestImage> {
  const directory = env['TAPWARDEN_GUEST_DIR'];
  if (directory === undefined) {
    return await ensureGuest({ ...options, supervisorBundle: join(packageRoot, 'build', 'supervisor.mjs') });
  }
  const paths = {
    kernel: join(directory, 'vmlinux'),
    initrd: join(directory, 'initrd'),
    root: join(directory, 'root.ext4'),
  };
  await Promise.all(Object.values(paths).map((path) => requireReadable(path, directory)));
  return { hash: directory, directory, ...paths, kernelRelease: 'unknown' };
}

async function requireReadable(path: string, directory: string): Promise<void> {
  try {
    await access(path, constants.R_OK);
  } catch (cause) {
    throw new TapwardenError('IMAGE_NOT_FOUND', {
      message: `TAPWARDEN_GUEST_DIR is ${directory}, which has no readable ${basename(path)}`,
      hint: 'A guest is the three files vmlinux, initrd and root.ext4.',
      cause,
    });
  }
}
