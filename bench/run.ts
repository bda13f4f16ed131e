import { rm } from 'node:fs/promises';
import { dir } from 'tmp-promise';
import type { Benchmark, Measured } from './benchmark.ts';
import { describeMachine } from './machine.ts';
import { durationsOf, figuresOf, type Phase, phaseHead, phaseRow, type Steps, summarizePhases } from './phase.ts';
import { summarize } from './summary.ts';
import { type TimedRun, timedRun } from './timed-run.ts';

/** `npm run bench -- run`: how long a command in a sandbox takes that does nothing, and what takes the time. */
export const runBenchmark: Benchmark = {
  name: 'run',
  summary: "a cold 'tapwarden run -- true' from the command line (--runs N, 10), with a guest that boots as well",
  options: { runs: { type: 'string' } },
  measure: async (values, say) => {
    const runs = Number(values['runs'] ?? 10);
    if (!Number.isInteger(runs) || runs < 1 || runs > 1000) throw new RangeError('--runs takes 1 to 1000');
    const { path: folder } = await dir({ prefix: 'tapwarden-bench-' });
    try {
      say('one run that does not count, which makes images and the state of a guest if they are not there');
      const first = await timedRun(folder);
      // With KVM there is no difference to show.
      const kinds = isRestored(first) ? ([[], ['--fresh-boot']] as const) : ([[]] as const);
      const taken: TimedRun[] = [];
      for (let number = 1; number <= runs; number += 1) {
        // By turns, so that what else the machine does meets both alike.
        for (const options of kinds) {
          const one = await timedRun(folder, options);
          say(`run ${number} of ${runs}${options.map((word) => `, ${word}`).join('')}: ${Math.round(one.totalMs)} ms`);
          taken.push(one);
        }
      }
      return report(taken, await describeMachine());
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  },
};

const before: readonly Phase[] = [
  { name: 'load', from: 'spawned', to: 'loaded', what: "Node starts and loads the command's modules" },
  { name: 'prepare', from: 'loaded', to: 'prepared', what: 'policy, images and accelerator are looked up' },
  { name: 'create', from: 'prepared', to: 'created', what: 'event log, record; slot and channel process side by side' },
];

const restoring: readonly Phase[] = [
  { name: 'restore', from: 'created', to: 'hello', what: 'QEMU starts and reads the state; the guest says hello' },
];

const booting: readonly Phase[] = [
  { name: 'vmm', from: 'created', to: 'kernel', what: "QEMU starts, until the guest's kernel counts time" },
  { name: 'boot', from: 'kernel', to: 'hello', what: "the guest's kernel, init, Node, and the workload's environment" },
];

const after: readonly Phase[] = [
  { name: 'setup', from: 'hello', to: 'ready', what: 'the guest builds its fence, and tries it' },
  { name: 'start', from: 'ready', to: 'started', what: 'bubblewrap and the command start' },
  { name: 'command', from: 'started', to: 'exited', what: 'the command runs, and the log is read to its end' },
  { name: 'settle', from: 'exited', to: 'settled', what: "the fence's counters are read" },
  { name: 'stop', from: 'settled', to: 'stopped', what: 'the guest ends, the record is closed' },
  { name: 'delete', from: 'stopped', to: 'deleted', what: 'slot, processes and files are taken away' },
  { name: 'exit', from: 'deleted', to: 'ended', what: 'the process ends' },
];

/** What happens between two steps of a run, in order: the name of its figure, and what it is for a reader. */
export const phases = {
  restored: [...before, ...restoring, ...after],
  booted: [...before, ...booting, ...after],
} as const;

/** How the guest of a run came up. */
export type Way = keyof typeof phases;

/**
 * Milliseconds of each of {@link phases}, from the steps of a run in epoch milliseconds. `kernel` follows from `hello`
 * and the guest's own clock.
 *
 * @throws RangeError when a step is missing
 */
export function phasesOf(way: Way, steps: Steps): readonly number[] {
  const kernel = (steps['hello'] ?? Number.NaN) - (steps['guestBootMs'] ?? Number.NaN);
  return durationsOf(phases[way], { ...steps, kernel });
}

const isRestored = ({ steps }: TimedRun): boolean => steps['restored'] === 1;

/** `cold_ms` is of the command as it is typed, `boot_run_ms` of a guest that boots, which with KVM is the same. */
function report(taken: readonly TimedRun[], machine: string): Measured {
  const [restored, booted] = [taken.filter(isRestored), taken.filter((one) => !isRestored(one))];
  const parts = [
    ...(restored.length > 0 ? [part('restored', restored)] : []),
    ...(booted.length > 0 ? [part('booted', booted)] : []),
  ];
  const [typed] = parts;
  if (typed === undefined) throw new RangeError('There is no run');
  return {
    figures: {
      runs: typed.runs,
      ...figuresOf('cold_ms', typed.total),
      ...Object.assign({}, ...parts.toReversed().map(({ figures }) => figures)),
    },
    markdown: [`Accelerator ${taken[0]?.accelerator}. ${machine}.`, ...parts.flatMap(({ markdown }) => markdown)],
  };
}

function part(way: Way, taken: readonly TimedRun[]) {
  const total = summarize(taken.map(({ totalMs }) => totalMs));
  const each = summarizePhases(
    phases[way],
    taken.map(({ steps }) => phasesOf(way, steps)),
  );
  const medians = each.map(({ name, summary }) => [`${name}_ms_median`, Math.round(summary.median)]);
  return {
    runs: taken.length,
    total,
    figures: { ...(way === 'booted' ? figuresOf('boot_run_ms', total) : {}), ...Object.fromEntries(medians) },
    markdown: [
      '',
      way === 'restored'
        ? `As it is typed, where the state of a guest is kept: ${taken.length} runs.`
        : `With a guest that boots (\`--fresh-boot\`): ${taken.length} runs.`,
      '',
      ...phaseHead,
      ...each.map(({ what, summary }) => phaseRow(what, summary)),
      phaseRow('**all**', total),
    ],
  };
}
