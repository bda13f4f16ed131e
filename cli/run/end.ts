import type { ExecEnd, RunSummary } from '../../driver-vm/index.ts';
import { ownFailure } from '../context.ts';

/** How a run ended, for the exit status and the result file. */
export type RunEnd = {
  readonly exit: number;
  readonly reason: 'exited' | 'signal' | 'timeout' | 'tapwarden';
  readonly summary: RunSummary | undefined;
};

/** The exit status of a run whose command ended so, and why it is that. `expired`: its time was over. */
export function exitOf(end: ExecEnd, expired: boolean): Pick<RunEnd, 'exit' | 'reason'> {
  if (expired) return { exit: 124, reason: 'timeout' };
  if (end.signal !== null) return { exit: 128 + end.signal, reason: 'signal' };
  return { exit: end.status ?? ownFailure, reason: 'exited' };
}

/** The same for a person. */
export function describeEnd(end: ExecEnd, expired: boolean): string {
  if (expired) return 'the command ran longer than its timeout';
  return end.signal === null
    ? `the command exited with status ${end.status}`
    : `signal ${end.signal} ended the command`;
}
