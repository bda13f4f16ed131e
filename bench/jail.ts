import { rm } from 'node:fs/promises';
import { dir } from 'tmp-promise';
import type { Benchmark, Measured } from './benchmark.ts';
import { describeMachine } from './machine.ts';
import { durationsOf, figuresOf, type Phase, phaseHead, phaseRow, summarizePhases } from './phase.ts';
import { summarize } from './summary.ts';
import { type TimedRun, timedRun } from './timed-run.ts';

/** `npm run bench -- jail`: how long it takes until a command runs in a jail, and until all is gone again. */
export const jailBenchmark: Benchmark = {
  name: 'jail',
  summary: "'tapwarden run --jail -- true' from the command line (--runs N, 20), and where its time goes",
  options: { runs: { type: 'string' } },
  measure: async (values, say) => {
    const runs = Number(values['runs'] ?? 20);
    if (!Number.isInteger(runs) || runs < 1 || runs > 1000) throw new RangeError('--runs takes 1 to 1000');
    const { path: folder } = await dir({ prefix: 'tapwarden-bench-' });
    try {
      say('one run that does not count');
      await timedRun(folder, ['--jail']);
      const taken: TimedRun[] = [];
      for (let number = 1; number <= runs; number += 1) {
        const one = await timedRun(folder, ['--jail']);
        say(`run ${number} of ${runs}: ${Math.round(startMsOf(one))} ms until the command runs`);
        taken.push(one);
      }
      return report(taken, await describeMachine());
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  },
};

/** What happens between two steps of a run in a jail, in order. */
const phases: readonly Phase[] = [
  { name: 'load', from: 'spawned', to: 'loaded', what: "Node starts and loads the command's modules" },
  { name: 'prepare', from: 'loaded', to: 'prepared', what: 'the policy is read' },
  { name: 'create', from: 'prepared', to: 'created', what: 'record; slot and supervisor beside the channel process' },
  { name: 'hello', from: 'created', to: 'hello', what: 'until the supervisor, which makes the jail, says hello' },
  { name: 'setup', from: 'hello', to: 'ready', what: 'the rest of the jail, the fence, and a canary that it refuses' },
  { name: 'start', from: 'ready', to: 'started', what: 'bubblewrap and the command start' },
  { name: 'command', from: 'started', to: 'exited', what: 'the command runs, and the log is read to its end' },
  { name: 'settle', from: 'exited', to: 'settled', what: "the fence's counters are read" },
  { name: 'stop', from: 'settled', to: 'stopped', what: 'the supervisor ends, the record is closed' },
  { name: 'delete', from: 'stopped', to: 'deleted', what: 'slot, cgroups, processes and files are taken away' },
  { name: 'exit', from: 'deleted', to: 'ended', what: 'the process ends' },
];

function startMsOf({ steps }: TimedRun): number {
  return (steps['started'] ?? Number.NaN) - (steps['spawned'] ?? Number.NaN);
}

function report(taken: readonly TimedRun[], machine: string): Measured {
  const start = summarize(taken.map(startMsOf));
  const total = summarize(taken.map(({ totalMs }) => totalMs));
  const each = summarizePhases(
    phases,
    taken.map(({ steps }) => durationsOf(phases, steps)),
  );
  return {
    figures: {
      runs: taken.length,
      ...figuresOf('jail_start_ms', start),
      ...figuresOf('jail_run_ms', total),
      ...Object.fromEntries(each.map(({ name, summary }) => [`${name}_ms_median`, Math.round(summary.median)])),
    },
    markdown: [
      `${taken.length} runs. ${machine}.`,
      '',
      ...phaseHead,
      ...each.map(({ what, summary }) => phaseRow(what, summary)),
      phaseRow('**until the command runs**', start),
      phaseRow('**all**', total),
    ],
  };
}
