import { messageOf, type Run, TapwardenError } from '../base/index.ts';

/** Sets the guest's clock to the host's: at boot it is off by seconds, after a restore by the age of the snapshot. */
export async function setClock(run: Run, epochMs: number): Promise<void> {
  try {
    await run(['date', '-u', '-s', `@${Math.round(epochMs / 1000)}`]);
  } catch (cause) {
    throw new TapwardenError('GUEST_SETUP_FAILED', { message: `Cannot set the clock: ${messageOf(cause)}`, cause });
  }
}
