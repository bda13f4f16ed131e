import { writeFile } from 'node:fs/promises';
import { messageOf, TapwardenError } from '../base/index.ts';
import type { Context } from './context.ts';

/** Epoch milliseconds by step, and the guest's own figures, whose names end in `Ms`. Example: `{"hello":1700000003123}`. */
export type RunTimings = { readonly [step: string]: number };

/**
 * Writes where the time of a run went as one JSON object, to the file that `TAPWARDEN_TIMINGS` names; does nothing
 * without it. The benchmarks read it: no step here is a promise to other programs.
 *
 * @throws FILE_UNREADABLE when it cannot be written
 */
export async function writeTimings(context: Context, timings: RunTimings): Promise<void> {
  const path = context.env['TAPWARDEN_TIMINGS'];
  if (path === undefined) return;
  try {
    await writeFile(path, `${JSON.stringify(timings)}\n`);
  } catch (cause) {
    throw new TapwardenError('FILE_UNREADABLE', { message: `Cannot write the timings: ${messageOf(cause)}`, cause });
  }
}
