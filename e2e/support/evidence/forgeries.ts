import type { ForgedLinesFact } from '../../../channel/index.ts';
import { code, renderTable } from '../generated-part.ts';

/** A forgery. */
export type ForgeryCase = {
  readonly what: string;
  readonly stoppedBy: string;
  /** Who made it, as the finding `log-forged` has it; absent where nothing tells it from what is allowed. */
  readonly finding?: ForgedLinesFact['by'];
};

/**
 * What somebody makes that is to pass for evidence, and what stops it. `e2e/bypass-detection/forgeries.ts` makes each in a
 * guest and in a jail, and docs/evidence.md is made from it.
 */
export const forgeries = {
  lines: {
    what: 'root writes lines to `/dev/kmsg` that have the prefix of the run and the form of the fence: with a level alone, with the number of the kernel’s facility or of another one, in the form in which records are read',
    stoppedBy:
      'the kernel gives what programs write another facility than its own, and lines of its own alone are read',
    finding: 'program',
  },
  crash: {
    what: 'a program takes the beginning of the prefix for its name, and crashes: then the kernel itself logs a line that begins with the name',
    stoppedBy:
      'a name has 15 characters, the prefix is longer, and a line must match to its end; a guest logs no crashes',
  },
  rule: {
    what: 'the workload makes itself root in a user namespace, and loads a log rule',
    stoppedBy: 'it can make no user namespace',
  },
  stranger: {
    what: 'a log rule of somebody else, in another network namespace, with a prefix of the same form',
    stoppedBy: 'the prefix holds 80 random bits of the run, which no workload can read',
  },
  insider: {
    what: 'a log rule of root, who has read the prefix, in another network namespace',
    stoppedBy:
      'nothing stops the line; but the fence has counted no such packet, and the record is not complete (`unknown`)',
    finding: 'rule',
  },
  mark: {
    what: 'the workload sets the mark of another exec on its packets',
    stoppedBy: 'it has no right to; the fence sets the mark anew by the cgroup of the socket',
  },
  canary: {
    what: 'the workload sends to the addresses of canaries, which are no attempts',
    stoppedBy: 'a canary is a packet of root: it is an attempt like any other',
  },
  audit: {
    what: 'the workload writes records of its own to the kernel’s audit system',
    stoppedBy: 'it gets no socket to that; and records of programs have types of their own, which are not read',
  },
  name: {
    what: 'a process writes another name and other arguments over its own, before it tries',
    stoppedBy: 'both are told as they were when it was executed, by the kernel’s copy',
  },
  text: {
    what: 'arguments with line breaks, quotation marks, escape sequences and the text of an event',
    stoppedBy: 'they are one string of one event, escaped; from text nothing is concluded',
  },
} as const satisfies Readonly<Record<string, ForgeryCase>>;

/** The table of {@link forgeries}. */
export function renderForgeries(): string {
  return renderTable(
    ['what is made', 'what stops it', 'finding `log-forged`'],
    Object.values<ForgeryCase>(forgeries).map(({ what, stoppedBy, finding }) => [
      what,
      stoppedBy,
      finding === undefined ? '–' : code([finding]),
    ]),
  );
}
