import { chmod, link, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { dir } from 'tmp-promise';
import { run } from '../../base/index.ts';
import { pathsOf } from '../../driver-vm/index.ts';
import { ensureGuest } from '../../init/index.ts';

/** How a guest differs from the one that is shipped. Paths are those of its root. */
export type GuestChanges = {
  /** Kernel modules that are not there. Example: `['nft_log']`. */
  readonly withoutModules?: readonly string[];
  readonly without?: readonly string[];
  /** Where a file is moved to, by its path. */
  readonly moved?: Readonly<Record<string, string>>;
  /** Texts of executable files, by path. */
  readonly programs?: Readonly<Record<string, string>>;
};

/**
 * Makes a guest that differs from the shipped one, in `folder`, for `TAPWARDEN_GUEST_DIR`: the same kernel, and a copy of
 * the root filesystem that is changed where it lies, which takes a second where building another takes several.
 * Source: debugfs(8).
 */
export async function makeGuest(folder: string, changes: GuestChanges): Promise<string> {
  const guest = await ensureGuest({
    stateDir: pathsOf(process.env).stateDir,
    supervisorBundle: 'build/supervisor.cjs',
    run,
    onProgress: () => undefined,
  });
  const { path } = await dir({ tmpdir: folder, prefix: 'guest-' });
  // QEMU runs as somebody else and must get at it.
  for (const traversed of [folder, path]) await chmod(traversed, 0o755);
  const root = join(path, 'root.ext4');
  await run(['cp', '--sparse=always', '--reflink=auto', guest.root, root]);
  await chmod(root, 0o644);
  // The store may be on another filesystem than the folder.
  for (const [from, to] of [
    [guest.kernel, join(path, 'vmlinux')],
    [guest.initrd, join(path, 'initrd')],
  ] as const) {
    await link(from, to).catch(async () => await run(['cp', from, to]));
  }
  const commands = await commandsOf(changes, guest.kernelRelease, path);
  const { stdout, stderr } = await run(['debugfs', '-w', '-f', '-', root], { input: `${commands.join('\n')}\n` });
  const refused = `${stdout}\n${stderr}`
    .split('\n')
    .filter((line) => /not found|No such|No free|error|rror:/.test(line));
  if (refused.length > 0) throw new Error(`debugfs did not change the guest: ${refused.join('; ')}`);
  return path;
}

async function commandsOf(changes: GuestChanges, release: string, folder: string): Promise<readonly string[]> {
  const { withoutModules = [], without = [], moved = {}, programs = {} } = changes;
  const removed = [...without, ...withoutModules.map((name) => `/usr/lib/modules/${release}/${name}.ko`)];
  const written = await Promise.all(
    Object.entries(programs).map(async ([path, text], number) => {
      const source = join(folder, `program-${number}`);
      await writeFile(source, text);
      // Whoever is replaced must go first, and `moved` may have taken it away already.
      const replaces = path in moved ? [] : [`rm ${path}`];
      const fields = ['mode 0100755', 'uid 0', 'gid 0'].map((field) => `set_inode_field ${path} ${field}`);
      return [...replaces, `write ${source} ${path}`, ...fields];
    }),
  );
  return [
    ...removed.map((path) => `rm ${path}`),
    // A second name, and the first one gone: debugfs does not rename.
    ...Object.entries(moved).flatMap(([from, to]) => [`link ${from} ${to}`, `unlink ${from}`]),
    ...written.flat(),
  ];
}
