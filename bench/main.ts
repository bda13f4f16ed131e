import { parseArgs } from 'node:util';
import { messageOf } from '../base/index.ts';
import { attributionBenchmark } from './attribution.ts';
import type { Benchmark } from './benchmark.ts';
import { evidenceBenchmark } from './evidence.ts';
import { jailBenchmark } from './jail.ts';
import { ocsfBenchmark } from './ocsf.ts';
import { runBenchmark } from './run.ts';

/** All benchmarks, in the order of the list. */
const benchmarks: readonly Benchmark[] = [
  runBenchmark,
  ocsfBenchmark,
  jailBenchmark,
  evidenceBenchmark,
  attributionBenchmark,
];

const overview = `Usage: npm run bench -- NAME [OPTION]… [--json]

Measures, and prints a table for docs/benchmarks.md. With --json the last line of standard output is one JSON object:
{"name": NAME, "figures": {…}}.

${benchmarks.map(({ name, summary }) => `  ${name.padEnd(12)} ${summary}`).join('\n')}
`;

/** Runs `npm run bench` and returns the exit status: 0, or 1 when nothing could be measured. */
async function main([name, ...args]: readonly string[]): Promise<number> {
  if (name === undefined || name === '--help') return print(overview);
  const benchmark = benchmarks.find((candidate) => candidate.name === name);
  if (benchmark === undefined) {
    process.stderr.write(`There is no benchmark '${name}'.\n\n${overview}`);
    return 1;
  }
  try {
    const options = { ...benchmark.options, json: { type: 'boolean' } } as const;
    const { values } = parseArgs({ args: [...args], options, strict: true });
    const { figures, markdown } = await benchmark.measure(values, (line) => process.stderr.write(`${line}\n`));
    print(`${markdown.join('\n')}\n`);
    return values.json === true ? print(`${JSON.stringify({ name, figures })}\n`) : 0;
  } catch (error) {
    process.stderr.write(`bench ${name}: ${messageOf(error)}\n`);
    return 1;
  }
}

function print(text: string): number {
  process.stdout.write(text);
  return 0;
}

process.exitCode = await main(process.argv.slice(2));
