import type { Child } from '../base/index.ts';

/** What bwrap reports of a sandbox that it builds. */
export type SandboxReport = {
  /** Process 1 of the sandbox, as seen from here; `undefined` when bwrap ended before there was one. */
  readonly pid: Promise<number | undefined>;
  /** What bwrap says the command ended with; `undefined` where it never came to execute one, or was ended itself. */
  readonly exitCode: Promise<number | undefined>;
};

/** The end of bwrap may be seen before the end of what it wrote. */
const lateMs = 100;

/**
 * Reads a status descriptor of bwrap, by its number in the child: `{"child-pid": 812, …}` once process 1 is there, and
 * `{"exit-code": 3}` at the end of a command that was executed. Source: bwrap(1), --json-status-fd.
 */
export function readSandboxReport(child: Child, fd: number): SandboxReport {
  const report = child.process.stdio[fd];
  if (report === null || report === undefined || !('setEncoding' in report)) throw new Error('There is no report');
  let text = '';
  report.setEncoding('utf8');
  const numberOf = (pattern: RegExp): number | undefined => {
    const number = pattern.exec(text)?.[1];
    return number === undefined ? undefined : Number(number);
  };
  let tellPid = (_pid: number | undefined): void => undefined;
  const pid = new Promise<number | undefined>((resolve) => {
    tellPid = resolve;
  });
  const ended = new Promise<void>((resolve) => {
    report.on('data', (piece: string) => {
      text += piece;
      const found = numberOf(/"child-pid": *(\d+)/);
      if (found !== undefined) tellPid(found);
    });
    report.on('error', () => resolve());
    report.on('close', () => resolve());
    void child.ended.then(() => setTimeout(resolve, lateMs).unref());
  });
  void ended.then(() => tellPid(undefined));
  return { pid, exitCode: ended.then(() => numberOf(/"exit-code": *(\d+)/)) };
}
