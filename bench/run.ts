import { rm } from 'node:fs/promises';
import { dir } from 'tmp-promise';
import type { Benchmark, Measured } from './benchmark.ts';
import { describeMachine } from './machine.ts';
import { durationsOf, figuresOf, phaseHead, phaseRow, type Steps, summarizePhases } from './phase.ts';
import { summarize } from './summary.ts';
import { type TimedRun, timedRun } from './timed-run.ts';

/** `npm run bench -- run`: how long a command in a sandbox takes that does nothing, and what takes the time. */
export const runBenchmark: Benchmark = {
  name: 'run',
  summary: "a cold 'tapwarden run -- true' from the command line (--runs N, 10), and where its time goes",
  options: { runs: { type: 'string' } },
  measure: async (values, say) => {
    const runs = Number(values['runs'] ?? 10);
    if (!Number.isInteger(runs) || runs < 1 || runs > 1000) throw new RangeError('--runs takes 1 to 1000');
    const { path: folder } = await dir({ prefix: 'tapwarden-bench-' });
    try {
      say('one run that does not count, which builds the images if they are not there');
      await timedRun(folder);
      const taken: TimedRun[] = [];
      for (let number = 1; number <= runs; number += 1) {
        const one = await timedRun(folder);
        say(`run ${number} of ${runs}: ${Math.round(one.totalMs)} ms`);
        taken.push(one);
      }
      return report(taken, await describeMachine());
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  },
};

/** What happens between two steps of a run, in order: the name of its figure, and what it is for a reader. */
export const phases = [
  { name: 'load', from: 'spawned', to: 'loaded', what: "Node starts and loads the command's modules" },
  { name: 'prepare', from: 'loaded', to: 'prepared', what: 'policy, images and accelerator are looked up' },
  { name: 'create', from: 'prepared', to: 'created', what: 'event log, record; slot and channel process side by side' },
  { name: 'vmm', from: 'created', to: 'kernel', what: "QEMU starts, until the guest's kernel counts time" },
  { name: 'boot', from: 'kernel', to: 'hello', what: "the guest's kernel, init, and Node until it says hello" },
  { name: 'setup', from: 'hello', to: 'ready', what: 'the guest builds its fence and the workload environment' },
  { name: 'start', from: 'ready', to: 'started', what: 'bubblewrap and the command start' },
  { name: 'command', from: 'started', to: 'exited', what: 'the command runs, and the log is read to its end' },
  { name: 'settle', from: 'exited', to: 'settled', what: "the fence's counters are read" },
  { name: 'stop', from: 'settled', to: 'stopped', what: 'the guest ends, the record is closed' },
  { name: 'delete', from: 'stopped', to: 'deleted', what: 'slot, processes and files are taken away' },
  { name: 'exit', from: 'deleted', to: 'ended', what: 'the process ends' },
] as const;

/**
 * Milliseconds of each of {@link phases}, from the steps of a run in epoch milliseconds. `kernel` follows from `hello`
 * and the guest's own clock.
 *
 * @throws RangeError when a step is missing
 */
export function phasesOf(steps: Steps): readonly number[] {
  const kernel = (steps['hello'] ?? Number.NaN) - (steps['guestBootMs'] ?? Number.NaN);
  return durationsOf(phases, { ...steps, kernel });
}

function report(taken: readonly TimedRun[], machine: string): Measured {
  const total = summarize(taken.map(({ totalMs }) => totalMs));
  const each = summarizePhases(
    phases,
    taken.map(({ steps }) => phasesOf(steps)),
  );
  return {
    figures: {
      runs: taken.length,
      ...figuresOf('cold_ms', total),
      ...Object.fromEntries(each.map(({ name, summary }) => [`${name}_ms_median`, Math.round(summary.median)])),
    },
    markdown: [
      `${taken.length} runs, accelerator ${taken[0]?.accelerator}. ${machine}.`,
      '',
      ...phaseHead,
      ...each.map(({ what, summary }) => phaseRow(what, summary)),
      phaseRow('**all**', total),
    ],
  };
}
