import { getSystemErrorName } from 'node:util';
import { loadLibc } from './libc.ts';

const realtime = 0;

/**
 * Sets the system's clock, in milliseconds since 1970.
 *
 * Source: clock_settime(2).
 */
export async function setClock(epochMs: number): Promise<void> {
  const libc = await loadLibc();
  const set = libc.func('int clock_settime(int, const void *)');
  const time = Buffer.alloc(16);
  time.writeBigInt64LE(BigInt(Math.floor(epochMs / 1000)), 0);
  time.writeBigInt64LE(BigInt(Math.floor(epochMs % 1000) * 1_000_000), 8);
  if (set(realtime, time) !== 0) throw new Error(`clock_settime: ${getSystemErrorName(-libc.errno())}`);
}
