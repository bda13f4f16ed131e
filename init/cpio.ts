/** One entry of an archive. `path` has no leading slash. All entries belong to root. */
export type CpioEntry =
  | { readonly kind: 'directory'; readonly path: string; readonly mode: number }
  | { readonly kind: 'file'; readonly path: string; readonly mode: number; readonly data: Uint8Array }
  | { readonly kind: 'symlink'; readonly path: string; readonly target: string };

const typeBits = { directory: 0o040000, file: 0o100000, symlink: 0o120000 } as const;

/**
 * Renders an archive that the kernel unpacks as its first root filesystem. The same entries give the same bytes.
 *
 * Directories stand before what they hold. Example: `[{kind: 'file', path: 'init', mode: 0o755, data}]`.
 * Source: cpio(5) "New ASCII Format"; Documentation/driver-api/early-userspace/buffer-format.rst
 */
export function renderCpio(entries: readonly CpioEntry[]): Uint8Array {
  const records = entries.map((entry, index) => renderEntry(entry, index + 1));
  return Buffer.concat([...records, renderRecord('TRAILER!!!', 0, 0, new Uint8Array(0))]);
}

function renderEntry(entry: CpioEntry, inode: number): Buffer {
  switch (entry.kind) {
    case 'directory':
      return renderRecord(entry.path, inode, typeBits.directory | entry.mode, new Uint8Array(0));
    case 'file':
      return renderRecord(entry.path, inode, typeBits.file | entry.mode, entry.data);
    case 'symlink':
      return renderRecord(entry.path, inode, typeBits.symlink | 0o777, Buffer.from(entry.target));
  }
}

function renderRecord(path: string, inode: number, mode: number, data: Uint8Array): Buffer {
  const name = Buffer.from(`${path}\0`);
  // ino, mode, uid, gid, nlink, mtime, filesize, devmajor, devminor, rdevmajor, rdevminor, namesize, check
  const fields = [inode, mode, 0, 0, 1, 0, data.length, 0, 0, 0, 0, name.length, 0];
  const header = Buffer.from(`070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}`);
  return Buffer.concat([padTo4(Buffer.concat([header, name])), padTo4(data)]);
}

function padTo4(bytes: Uint8Array): Buffer {
  return Buffer.concat([bytes, Buffer.alloc((4 - (bytes.length % 4)) % 4)]);
}
