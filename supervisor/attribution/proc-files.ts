import { readFileSync, readlinkSync } from 'node:fs';
import { maxProcessText } from '../../channel/index.ts';
import type { Image } from './process-table.ts';

const maxArguments = 256;

/** The program that a process executes now; `undefined` when it is gone. Its arguments are what it shows as them. */
export function readImage(pid: number): Image | undefined {
  try {
    const binary = readlinkSync(`/proc/${pid}/exe`);
    return { binary, arguments: splitArguments(readFileSync(`/proc/${pid}/cmdline`)) };
  } catch {
    return undefined;
  }
}

/** The real uid of a process; `undefined` when it is gone. */
export function readUid(pid: number): number | undefined {
  try {
    const uid = /^Uid:\t(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1];
    return uid === undefined ? undefined : Number(uid);
  } catch {
    return undefined;
  }
}

/** Arguments as the kernel lays them out, each ended by a NUL. */
export function splitArguments(bytes: Buffer): readonly string[] {
  const text = bytes.toString('utf8', 0, maxProcessText).replace(/\0+$/, '');
  return text === '' ? [] : text.split('\0').slice(0, maxArguments);
}
