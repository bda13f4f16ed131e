import { summarize } from './summary.ts';

/** What a part of `npm run bench -- ocsf` found: plain numbers, and the same as rows of the table in Markdown. */
export type PartMeasured = {
  readonly figures: Readonly<Record<string, number>>;
  /** Of three columns: what was done, how much of it in a second, and what else is to be said. */
  readonly rows: readonly string[];
};

/** A part of the benchmark. `say` gets lines of progress, without a newline. */
export type OcsfPart = (say: (line: string) => void) => Promise<PartMeasured>;

/** Something that is done over and over; `number` counts up, so that no two events are the same. */
export type Work = { readonly name: string; readonly what: string; readonly once: (number: number) => void };

/** What was measured of a {@link Work}, per second: the middle of all rounds, and the best. */
export type Rate = {
  readonly what: string;
  /** By processor time of the whole process, so that neighbours on the machine are not counted: one core's worth. */
  readonly perSecond: number;
  readonly best: number;
  /** By the clock on the wall. */
  readonly wall: number;
};

/** How long work is measured. */
export type Rounds = { readonly rounds: number; readonly roundMs: number };

/**
 * Measures several kinds of work side by side: after a warm-up, each has its turn in every round, so that a slow moment
 * of the machine meets all of them. Returns the rates by name.
 */
export function measureSideBySide(works: readonly Work[], { rounds, roundMs }: Rounds): Readonly<Record<string, Rate>> {
  const taken = works.map((work) => ({ work, cpu: [] as number[], wall: [] as number[] }));
  for (const { once } of works) runFor(once, 2 * roundMs);
  for (let round = 0; round < rounds; round += 1) {
    for (const { work, cpu, wall } of taken) {
      const begunCpu = process.cpuUsage();
      const begun = performance.now();
      const count = runFor(work.once, roundMs);
      wall.push((count / (performance.now() - begun)) * 1000);
      const { user, system } = process.cpuUsage(begunCpu);
      cpu.push((count / (user + system)) * 1e6);
    }
  }
  return Object.fromEntries(
    taken.map(({ work, cpu, wall }) => {
      const { median, max } = summarize(cpu);
      const rate = { what: work.what, perSecond: median, best: max, wall: summarize(wall).median };
      return [work.name, rate];
    }),
  );
}

/** Repeats work until the time is over, and says how often. */
function runFor(once: (number: number) => void, ms: number): number {
  const end = performance.now() + ms;
  let count = 0;
  do {
    // The clock is read once in a hundred times, for it takes time itself.
    for (let step = 0; step < 100; step += 1, count += 1) once(count);
  } while (performance.now() < end);
  return count;
}

/** A row of the table for a rate. */
export function rowOf({ what, perSecond, best, wall }: Rate): string {
  const micros = (1e6 / perSecond).toFixed(1);
  return `| ${what} | ${thousands(perSecond)}/s | ${micros} µs; best ${thousands(best)}/s; by the wall ${thousands(wall)}/s |`;
}

/** Example: `150000` is `150,000`. */
function thousands(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}
