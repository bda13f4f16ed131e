import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Run } from '../base/runner.ts';

const blockBytes = 4096;
const inodeBytes = 256;

/**
 * Makes the ext4 image `image` of the directory `tree` without mounting anything; owners and modes are those of the
 * tree. The image is just large enough, since it is mounted read-only. `mkfs` is the path of mkfs.ext4.
 *
 * @throws COMMAND_FAILED when mkfs.ext4 fails
 * Source: mkfs.ext4(8), `-d`
 */
export async function makeExt4(run: Run, mkfs: string, tree: string, image: string): Promise<void> {
  const { bytes, inodes } = await sizeOf(tree);
  // A tenth for directories' and files' block maps, and 8 MiB for the filesystem's own tables.
  const kibibytes = Math.ceil((bytes * 1.1 + inodes * inodeBytes) / 1024) + 8192;
  const features = '^has_journal,^metadata_csum,^resize_inode';
  const argv = ['-q', '-F', '-b', String(blockBytes), '-I', String(inodeBytes), '-N', String(inodes + 64)] as const;
  await run([mkfs, ...argv, '-m', '0', '-O', features, '-d', tree, image, `${kibibytes}k`], { timeoutMs: 300_000 });
}

/** What the files below `directory` take in whole blocks, and how many there are, the directory included. */
async function sizeOf(directory: string): Promise<{ readonly bytes: number; readonly inodes: number }> {
  let bytes = blockBytes;
  let inodes = 1;
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) {
      const below = await sizeOf(path);
      bytes += below.bytes;
      inodes += below.inodes;
    } else {
      bytes += Math.ceil((await lstat(path)).size / blockBytes) * blockBytes;
      inodes += 1;
    }
  }
  return { bytes, inodes };
}
