import { type Summary, summarize } from './summary.ts';

/** What happens between two steps of a run: the name of its figure, and what it is for a reader. */
export type Phase = { readonly name: string; readonly from: string; readonly to: string; readonly what: string };

/** Epoch milliseconds at which each step of a run was done. */
export type Steps = Readonly<Record<string, number>>;

/**
 * Milliseconds of each phase.
 *
 * @throws RangeError when a step is missing
 */
export function durationsOf(phases: readonly Phase[], steps: Steps): readonly number[] {
  const at = (step: string): number => {
    const time = steps[step];
    if (time === undefined || Number.isNaN(time)) throw new RangeError(`The run says nothing of the step '${step}'`);
    return time;
  };
  return phases.map(({ from, to }) => at(to) - at(from));
}

/** A row of a table of phases. Example: `| the process ends | 11 | 10 | 14 |`. */
export function phaseRow(what: string, { median, min, max }: Summary): string {
  return `| ${what} | ${Math.round(median)} | ${Math.round(min)} | ${Math.round(max)} |`;
}

/** The head of a table of phases. */
export const phaseHead = ['| phase | median ms | min | max |', '|---|--:|--:|--:|'] as const;

/** The phases of several runs, summed up one by one. */
export function summarizePhases(
  phases: readonly Phase[],
  runs: readonly (readonly number[])[],
): readonly (Phase & { readonly summary: Summary })[] {
  return phases.map((phase, index) => ({ ...phase, summary: summarize(runs.map((ms) => ms[index] ?? Number.NaN)) }));
}

/** Three figures of one name, in whole milliseconds. */
export function figuresOf(name: string, { median, min, max }: Summary): Readonly<Record<string, number>> {
  return {
    [`${name}_median`]: Math.round(median),
    [`${name}_min`]: Math.round(min),
    [`${name}_max`]: Math.round(max),
  };
}
