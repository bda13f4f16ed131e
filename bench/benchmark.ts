import type { ParseArgsConfig } from 'node:util';

/** One program of `npm run bench`. */
export type Benchmark = {
  /** What stands after `npm run bench --`, and the name of its file. */
  readonly name: string;
  /** One line for the list of benchmarks. */
  readonly summary: string;
  /** Options beside `--json`, as `node:util` takes them. */
  readonly options: NonNullable<ParseArgsConfig['options']>;
  /** Measures. `say` gets lines of progress, without a newline. */
  readonly measure: (values: OptionValues, say: (line: string) => void) => Promise<Measured>;
};

/** The values of a benchmark's options, by name. */
export type OptionValues = Readonly<Record<string, unknown>>;

/** What a benchmark found. */
export type Measured = {
  /** Plain numbers, with the unit in the name. Example: `{"cold_ms_median": 5210}`. */
  readonly figures: Readonly<Record<string, number>>;
  /** The same for docs/benchmarks.md: lines of Markdown. */
  readonly markdown: readonly string[];
};
