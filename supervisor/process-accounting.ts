import { readFile } from 'node:fs/promises';

/** Where the guest's init told the kernel to write its process accounting records. */
export const accountingFile = '/run/accounting/records';

const recordSize = 64;

/** How a process ended: exactly one of the two is not `null`. */
export type ProcessEnd = { readonly status: number | null; readonly signal: number | null };

/**
 * How the first child of process `parent` ended, by the kernel's own record.
 *
 * bubblewrap answers 128+n for a command that signal n ended, and so does a command that exits with 128+n: only its
 * parent is told which, and the kernel. Its parent is process 1 of the sandbox, whose later children are orphans that it
 * adopted; pids rise, so the command is the one with the lowest pid. Returns `undefined` when there is no such record.
 *
 * Source: acct(5), `struct acct_v3` in include/uapi/linux/acct.h.
 */
export function endOfFirstChild(records: Buffer, parent: number): ProcessEnd | undefined {
  let first: { readonly pid: number; readonly wait: number } | undefined;
  for (let at = 0; at + recordSize <= records.length; at += recordSize) {
    if (records.readUInt8(at + 1) !== 3 || records.readUInt32LE(at + 20) !== parent) continue;
    const pid = records.readUInt32LE(at + 16);
    if (first === undefined || pid < first.pid) first = { pid, wait: records.readUInt32LE(at + 4) };
  }
  if (first === undefined) return undefined;
  const signal = first.wait & 0x7f;
  return signal === 0 ? { status: (first.wait >> 8) & 0xff, signal: null } : { status: null, signal };
}

/** Reads the records; empty where the guest's kernel keeps none. */
export async function readAccounting(): Promise<Buffer> {
  return await readFile(accountingFile).catch(() => Buffer.alloc(0));
}
