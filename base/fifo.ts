import { getSystemErrorName } from 'node:util';
import { loadLibc } from './libc.ts';

/** Makes a named pipe, with `mode` whatever the mask of new files is. */
export type MakeFifo = (path: string, mode: number) => void;

/**
 * Gives mkfifo(3), without a process for each call. It throws with the path and the error's name.
 *
 * Source: mkfifo(3), chmod(2).
 */
export async function loadMakeFifo(): Promise<MakeFifo> {
  const libc = await loadLibc();
  const make = libc.func('int mkfifo(const char *, uint32_t)');
  const chmod = libc.func('int chmod(const char *, uint32_t)');
  return (path, mode) => {
    if (make(path, 0) === 0 && chmod(path, mode) === 0) return;
    throw new Error(`mkfifo ${path}: ${getSystemErrorName(-libc.errno())}`);
  };
}
