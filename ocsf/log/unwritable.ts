import { type ErrorDetails, TapwardenError } from '../../base/index.ts';

/** EVENTS_UNWRITABLE for the log `path`, always with the same hint. */
export function unwritable(path: string, problem: string, cause?: unknown, details?: ErrorDetails): TapwardenError {
  return new TapwardenError('EVENTS_UNWRITABLE', {
    message: `The event log ${path} cannot be written: ${problem}`,
    hint: 'Name a file on a disk with free space that is new or was written by tapwarden.',
    details: { path, ...details },
    cause,
  });
}
