import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { type Argv, type Child, start, systemPath } from '../base/index.ts';
import { packageRoot } from '../cli/package-info.ts';

/** What carries the sandbox of a measurement. */
export type Carrier = 'jail' | 'vm';

/** A sandbox in which a program of `bench/programs` runs. */
export type Running = {
  readonly child: Child;
  readonly eventsFile: string;
  /** Writes a line to the program's standard input. */
  readonly tell: (line: string) => void;
  /** The next line of its standard output; `undefined` when there is none any more. */
  readonly line: () => Promise<string | undefined>;
  /**
   * Waits for the end and returns the result file of the run.
   *
   * @throws Error when the program did not exit with 0
   */
  readonly end: () => Promise<RunResult>;
};

/** What a measurement reads of the result file. */
export type RunResult = { readonly denied: number; readonly complete: boolean; readonly incomplete: readonly string[] };

/**
 * Runs `argv` in a sandbox, whose event log and result stand in `folder` from then on, under names with `name`. `more` are
 * options of `tapwarden run` beside those.
 */
export function runInSandbox(
  carrier: Carrier,
  argv: Argv,
  folder: string,
  name: string,
  more: readonly string[] = [],
): Running {
  const eventsFile = join(folder, `${name}-${carrier}.jsonl`);
  const resultFile = join(folder, `${name}-${carrier}-result.json`);
  const options = [
    '--quiet',
    '--events',
    eventsFile,
    '--result',
    resultFile,
    ...(carrier === 'jail' ? ['--jail'] : []),
    ...more,
  ];
  const program = join(packageRoot, 'bin', 'tapwarden.js');
  const child = start([process.execPath, program, 'run', ...options, '--', ...argv], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { PATH: systemPath },
  });
  const { stdin, stdout } = child.process;
  const lines = createInterface({ input: stdout as Readable })[Symbol.asyncIterator]();
  return {
    child,
    eventsFile,
    tell: (line) => void stdin?.write(`${line}\n`),
    line: async () => {
      const next = await lines.next();
      return next.done === true ? undefined : next.value;
    },
    end: async () => {
      stdin?.end();
      const { status, signal } = await child.ended;
      if (status !== 0) throw new Error(`'${argv[0]}' in a ${carrier} ended with ${signal ?? status}`);
      return JSON.parse(await readFile(resultFile, 'utf8')) as RunResult;
    },
  };
}

/** The text of a program of `bench/programs`, which an interpreter takes as an argument. */
export async function programText(name: string): Promise<string> {
  return await readFile(join(packageRoot, 'bench', 'programs', name), 'utf8');
}

/** All lines that a program still prints. */
export async function remainingLines({ line }: Running): Promise<readonly string[]> {
  const found: string[] = [];
  for (let next = await line(); next !== undefined; next = await line()) found.push(next);
  return found;
}
