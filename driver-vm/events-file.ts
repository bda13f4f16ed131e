import { closeSync } from 'node:fs';
import { start, TapwardenError } from '../base/index.ts';
import { prepareLog } from '../ocsf/index.ts';

/** An event log that is open and locked for one run. */
export type EventsFile = {
  readonly path: string;
  /** Open for appending, with a lock that goes with it. */
  readonly fd: number;
  readonly nextSequence: number;
  /** Where a torn last line of an earlier run was moved to. */
  readonly torn?: string;
};

/**
 * Opens the event log of a run: creates it, moves a torn last line of a killed run aside, and locks it, because two
 * writers would hand out the same sequence numbers. The lock belongs to the open file, so it ends with whoever holds it
 * last. Source: flock(2).
 *
 * @throws EVENTS_UNWRITABLE when it cannot be opened, or another run writes to it
 * @throws PROGRAM_MISSING when util-linux's `flock` is not installed
 */
export async function openEventsFile(path: string): Promise<EventsFile> {
  const log = prepareLog(path, Date.now());
  const { status, error } = await start(['flock', '-n', '-x', '3'], { stdio: ['ignore', 'ignore', 'ignore', log.fd] })
    .ended;
  if (status === 0) return { path, ...log };
  closeSync(log.fd);
  if (error !== undefined) {
    throw new TapwardenError('PROGRAM_MISSING', {
      message: `'flock' could not be run: ${error.message}`,
      hint: 'Install the package util-linux.',
      cause: error,
    });
  }
  throw new TapwardenError('EVENTS_UNWRITABLE', {
    message: `The event log ${path} is in use by another run`,
    hint: 'Give each run a file of its own with --events.',
  });
}
