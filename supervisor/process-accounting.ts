import { mkdirSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { getSystemErrorName } from 'node:util';
import { loadLibc, type Mounter } from '../base/index.ts';
import { guestPaths } from '../init/contract.ts';

const recordSize = 64;

/** In `ac_flag`: the process was forked and never executed a program. */
const neverExecuted = 0x01;

/** How a process ended: exactly one of the two is not `null`. */
export type ProcessEnd = { readonly status: number | null; readonly signal: number | null };

/**
 * How the first program that process `parent` started ended, by the kernel's own record.
 *
 * bubblewrap answers 128+n for a command that signal n ended, and so does a command that exits with 128+n: only its
 * parent is told which, and the kernel. Its parent is process 1 of the sandbox. That forks a helper first, which executes
 * nothing; its later children are orphans of the command that it adopted, with higher pids. Returns `undefined` when
 * there is no such record.
 *
 * Source: acct(5), `struct acct_v3` in include/uapi/linux/acct.h.
 */
export function endOfFirstProgram(records: Buffer, parent: number): ProcessEnd | undefined {
  let first: { readonly pid: number; readonly wait: number } | undefined;
  for (let at = 0; at + recordSize <= records.length; at += recordSize) {
    if (records.readUInt8(at + 1) !== 3 || records.readUInt32LE(at + 20) !== parent) continue;
    if ((records.readUInt8(at) & neverExecuted) !== 0) continue;
    const pid = records.readUInt32LE(at + 16);
    if (first === undefined || pid < first.pid) first = { pid, wait: records.readUInt32LE(at + 4) };
  }
  if (first === undefined) return undefined;
  return endOfWaitStatus(first.wait);
}

/** What the status says that a parent is told of its child. Source: wait(2). */
export function endOfWaitStatus(status: number): ProcessEnd {
  const signal = status & 0x7f;
  return signal === 0 ? { status: (status >> 8) & 0xff, signal: null } : { status: null, signal };
}

/**
 * Makes the guest's kernel note how each process ended. The records have a small filesystem of their own: when it is full, the
 * kernel stops noting, and all else goes on. One that cannot keep records says so on the console.
 *
 * Source: acct(2).
 */
export async function startAccounting(mounter: Mounter): Promise<void> {
  const libc = await loadLibc();
  const acct = libc.func('int acct(const char *)') as (file: string) => number;
  const file = guestPaths.accounting;
  mkdirSync(dirname(file), { mode: 0o700 });
  mounter.mount({
    source: 'tmpfs',
    target: dirname(file),
    type: 'tmpfs',
    flags: ['noSetuid', 'noDevices', 'noExec'],
    options: 'mode=0700,size=16m',
  });
  writeFileSync(file, '');
  if (acct(file) === 0) return;
  process.stderr.write(
    `tapwarden-supervisor: the kernel keeps no process accounting: ${getSystemErrorName(-libc.errno())}\n`,
  );
}

/** Reads the records; empty where the guest's kernel keeps none. */
export async function readAccounting(): Promise<Buffer> {
  return await readFile(guestPaths.accounting).catch(() => Buffer.alloc(0));
}
