import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../base/index.ts';
import { packageRoot } from '../cli/package-info.ts';
import type { Steps } from './phase.ts';

/** A run that was timed. */
export type TimedRun = {
  /** Its steps, as `TAPWARDEN_TIMINGS` has them, and around them `spawned` and `ended`. */
  readonly steps: Steps;
  readonly totalMs: number;
  readonly accelerator: string;
};

/** Runs `tapwarden run OPTION… -- true` from the command line, as a user does, with its files in `folder`. */
export async function timedRun(folder: string, options: readonly string[] = []): Promise<TimedRun> {
  const [events, timings] = [join(folder, 'events.jsonl'), join(folder, 'timings.json')];
  const program = join(packageRoot, 'bin', 'tapwarden.js');
  const spawned = now();
  // Every variable of ours would change what is measured.
  await run([process.execPath, program, 'run', '--quiet', ...options, '--events', events, '--', 'true'], {
    timeoutMs: 600_000,
    // Where it names a file, Node reads all the certificates in it at each start, which is not what is measured.
    env: { TAPWARDEN_TIMINGS: timings, NODE_EXTRA_CA_CERTS: '' },
  });
  const ended = now();
  const steps = JSON.parse(await readFile(timings, 'utf8')) as Steps;
  return {
    steps: { ...steps, spawned, ended },
    totalMs: ended - spawned,
    accelerator: /"accelerator":"(\w+)"/.exec(await readFile(events, 'utf8'))?.[1] ?? 'unknown',
  };
}

const now = (): number => performance.timeOrigin + performance.now();
