import { TapwardenError } from '../base/index.ts';

/** What a sandbox is at. */
export type State = 'created' | 'running' | 'stopped' | 'deleted';

/** What can be done to it. */
export type Operation = 'start' | 'exec' | 'stop' | 'delete';

/** Which operation is legal in which state, and the state that it leads to. */
export const transitions: Readonly<Record<State, Readonly<Partial<Record<Operation, State>>>>> = {
  created: { start: 'running', stop: 'stopped', delete: 'deleted' },
  running: { exec: 'running', stop: 'stopped', delete: 'deleted' },
  stopped: { delete: 'deleted', stop: 'stopped' },
  deleted: { delete: 'deleted' },
};

/**
 * The state that an operation leads to.
 *
 * @throws STATE_ILLEGAL when the state does not allow it; `details` is `{from, operation}`
 */
export function nextState(from: State, operation: Operation): State {
  const to = transitions[from][operation];
  if (to !== undefined) return to;
  throw new TapwardenError('STATE_ILLEGAL', {
    message: `Cannot ${operation} a sandbox that is ${from}`,
    hint: `Legal now: ${Object.keys(transitions[from]).join(', ') || 'nothing'}.`,
    details: { from, operation },
  });
}
