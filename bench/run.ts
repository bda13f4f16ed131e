import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { dir } from 'tmp-promise';
import { run } from '../base/index.ts';
import { packageRoot } from '../cli/package-info.ts';
import type { Benchmark, Measured } from './benchmark.ts';
import { describeMachine } from './machine.ts';
import { type Summary, summarize } from './summary.ts';

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
      await runOnce(folder);
      const taken: Taken[] = [];
      for (let number = 1; number <= runs; number += 1) {
        const one = await runOnce(folder);
        say(`run ${number} of ${runs}: ${Math.round(one.totalMs)} ms`);
        taken.push(one);
      }
      return report(taken, await describeMachine());
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  },
};

/** What one run took: all of it, and each of its phases in {@link phases}' order, in milliseconds. */
type Taken = { readonly totalMs: number; readonly phasesMs: readonly number[]; readonly accelerator: string };

async function runOnce(folder: string): Promise<Taken> {
  const [events, timings] = [join(folder, 'events.jsonl'), join(folder, 'timings.json')];
  const program = join(packageRoot, 'bin', 'tapwarden.js');
  const spawned = now();
  // Every variable of ours would change what is measured.
  await run([process.execPath, program, 'run', '--quiet', '--events', events, '--', 'true'], {
    timeoutMs: 600_000,
    env: { TAPWARDEN_TIMINGS: timings },
  });
  const ended = now();
  const steps = JSON.parse(await readFile(timings, 'utf8')) as Readonly<Record<string, number>>;
  return {
    totalMs: ended - spawned,
    phasesMs: phasesOf({ ...steps, spawned, ended }),
    accelerator: /"accelerator":"(\w+)"/.exec(await readFile(events, 'utf8'))?.[1] ?? 'unknown',
  };
}

const now = (): number => performance.timeOrigin + performance.now();

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
export function phasesOf(steps: Readonly<Record<string, number>>): readonly number[] {
  const at = (step: string): number => {
    const time = step === 'kernel' ? (steps['hello'] ?? NaN) - (steps['guestBootMs'] ?? NaN) : (steps[step] ?? NaN);
    if (Number.isNaN(time)) throw new RangeError(`The run says nothing of the step '${step}'`);
    return time;
  };
  return phases.map(({ from, to }) => at(to) - at(from));
}

function report(taken: readonly Taken[], machine: string): Measured {
  const total = summarize(taken.map(({ totalMs }) => totalMs));
  const each = phases.map((phase, index) => ({
    ...phase,
    summary: summarize(taken.map(({ phasesMs }) => phasesMs[index] ?? NaN)),
  }));
  const figures = {
    runs: taken.length,
    ...figuresOf('cold_ms', total),
    ...Object.fromEntries(each.map(({ name, summary }) => [`${name}_ms_median`, Math.round(summary.median)])),
  };
  const row = (name: string, { median, min, max }: Summary): string =>
    `| ${name} | ${Math.round(median)} | ${Math.round(min)} | ${Math.round(max)} |`;
  return {
    figures,
    markdown: [
      `${taken.length} runs, accelerator ${taken[0]?.accelerator}. ${machine}.`,
      '',
      '| phase | median ms | min | max |',
      '|---|--:|--:|--:|',
      ...each.map(({ what, summary }) => row(what, summary)),
      row('**all**', total),
    ],
  };
}

function figuresOf(name: string, { median, min, max }: Summary): Readonly<Record<string, number>> {
  return {
    [`${name}_median`]: Math.round(median),
    [`${name}_min`]: Math.round(min),
    [`${name}_max`]: Math.round(max),
  };
}
