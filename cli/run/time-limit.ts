import { constants } from 'node:os';
import type { ExecEnd, Sandbox } from '../../driver-vm/index.ts';

/** The time that a command may take. */
export type TimeLimit = {
  readonly begin: () => void;
  readonly stop: () => void;
  readonly expired: boolean;
  /** Resolves when the guest did not end the command although it was told to: it may be in other hands. */
  readonly ignored: Promise<ExecEnd>;
};

/** Milliseconds between the steps that end a command which runs too long: SIGTERM, SIGKILL, the virtual machine. */
const graceMs = 5000;

/** Makes a limit for the command of a sandbox, which counts from `begin` on; `undefined` is none. */
export function startTimeLimit(timeoutMs: number | undefined, sandbox: Sandbox): TimeLimit {
  const timers: NodeJS.Timeout[] = [];
  const after = (ms: number, step: () => void): void => {
    timers.push(setTimeout(step, ms));
  };
  let giveUp = (_end: ExecEnd): void => undefined;
  const limit = {
    expired: false,
    ignored: new Promise<ExecEnd>((resolve) => {
      giveUp = resolve;
    }),
    begin: (): void => {
      if (timeoutMs === undefined) return;
      after(timeoutMs, () => {
        limit.expired = true;
        sandbox.signal(constants.signals.SIGTERM);
      });
      after(timeoutMs + graceMs, () => sandbox.signal(constants.signals.SIGKILL));
      after(timeoutMs + 2 * graceMs, () => giveUp({ status: null, signal: constants.signals.SIGKILL }));
    },
    stop: (): void => {
      for (const timer of timers) clearTimeout(timer);
    },
  };
  return limit;
}
