import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { dir } from 'tmp-promise';
import { pathsOf } from '../../driver-vm/index.ts';
import { firstIndexOf, usersOf } from '../../driver-vm/sandbox-record.ts';
import { hostSnapshot, leftoversSince, type SandboxProcess, type SnapshotOptions } from './host-snapshot.ts';
import { schemaAvailable } from './ocsf-schema.ts';
import {
  endsWhole,
  type LoggedEvent,
  logProblems,
  type RunResult,
  readEvents,
  readResult,
  resultProblems,
} from './record.ts';
import {
  type CommandOptions,
  type CommandResult,
  type RunningCommand,
  runTapwarden,
  startTapwarden,
} from './tapwarden.ts';

/** What `tapwarden run` left behind: streams, result file and event log. */
export type RunOutcome = CommandResult & {
  readonly id: string;
  readonly result: RunResult | undefined;
  readonly events: readonly LoggedEvent[];
};

/** A run that goes on. */
export type Running = Omit<RunningCommand, 'ended'> & { readonly id: string; readonly ended: Promise<RunOutcome> };

/** What a test works with. */
export type Bench = {
  /** A folder of the test's own, gone with it. */
  readonly folder: string;
  readonly runDir: string;
  /** A sandbox id that no other test has. */
  readonly newId: () => string;
  /** `tapwarden ARGS` in the test's run directory. */
  readonly tapwarden: (args: readonly string[], options?: CommandOptions) => Promise<CommandResult>;
  readonly boundary: Boundary;
  /** `tapwarden run ARGS`, with `--jail` where the test is for jails; id, event log and result file are added where `args` does not name them. */
  readonly run: (args: readonly string[], options?: CommandOptions) => Promise<RunOutcome>;
  /** Whether a process runs as a user of a sandbox that this suite made. */
  readonly isOurs: (process: SandboxProcess) => boolean;
  /** The same, while it runs. */
  readonly start: (args: readonly string[], options?: CommandOptions) => Running;
};

const runDir = `/run/tapwarden-e2e-${randomBytes(4).toString('hex')}`;
const idPrefix = `e2e-${randomBytes(3).toString('hex')}-`;
/** Those of the first 64 sandboxes of the run directory, which is more than ever live at once. */
const uids = { first: usersOf(firstIndexOf(pathsOf({ TAPWARDEN_RUN_DIR: runDir }))).vmm, count: 128 } as const;
const snapshotOptions: SnapshotOptions = { runDir, isOurs: (id) => id.startsWith(idPrefix), uids };

/** What carries the sandboxes of a test. */
export type Boundary = 'vm' | 'jail';

/**
 * Runs a test's body with a bench. After it, whatever it did, every event log that it made is valid and agrees with its
 * result file, and nothing is left on the host.
 */
export async function withBench(
  t: ExecutionContext,
  boundary: Boundary,
  body: (t: ExecutionContext, bench: Bench) => Promise<void>,
  timeoutMs: number,
): Promise<void> {
  t.timeout(timeoutMs);
  const unchecked = schemaAvailable();
  if (unchecked !== undefined) t.log(`events are not checked against their schemas: ${unchecked}`);
  const before = await hostSnapshot(snapshotOptions);
  const { path: folder, cleanup } = await dir({ prefix: 'tapwarden-e2e-', unsafeCleanup: true });
  const problems: string[] = [];
  const running = new Set<Running>();
  let leftovers: readonly string[] = [];
  try {
    await body(t, makeBench(folder, boundary, problems, running));
  } finally {
    // A test that failed half way leaves its runs to us.
    for (const { kill } of running) kill('SIGTERM');
    for (const { kill } of running) kill('SIGTERM');
    await Promise.all([...running].map(async ({ ended }) => await ended));
    await cleanup();
    leftovers = await leftoversSince(before, snapshotOptions);
    // After the look, so that a test that fails leaves nothing either.
    await runTapwarden(['gc'], { env: { TAPWARDEN_RUN_DIR: runDir } });
  }
  t.deepEqual(problems, [], 'events are valid and agree with the results');
  t.deepEqual(leftovers, [], 'nothing is left on the host');
}

function makeBench(folder: string, boundary: Boundary, problems: string[], running: Set<Running>): Bench {
  const env = { TAPWARDEN_RUN_DIR: runDir };
  // No two tests have an id in common: what one leaves behind must not trip the next.
  const ids = `${idPrefix}${randomBytes(3).toString('hex')}-`;
  let count = 0;
  const newId = (): string => {
    count += 1;
    return `${ids}${count}`;
  };
  const startRun = (args: readonly string[], options: CommandOptions = {}): Running => {
    const fresh = newId();
    const [own, id] = withDefault(ownArguments(args), '--id', fresh);
    const [withEvents, eventsFile] = withDefault(own, '--events', join(folder, `${fresh}.jsonl`));
    const [all, resultFile] = withDefault(withEvents, '--result', join(folder, `${fresh}.json`));
    const how = boundary === 'jail' ? ['--jail'] : [];
    const command = startTapwarden(['run', ...how, ...all, ...args.slice(ownArguments(args).length)], {
      ...options,
      env: { ...env, ...options.env },
    });
    const ended = command.ended.then(async (end) => {
      running.delete(run);
      const [events, result] = await Promise.all([readEvents(eventsFile), readResult(resultFile)]);
      const found = [
        ...logProblems(events),
        ...((await endsWhole(eventsFile)) ? [] : ['the log ends within a line']),
        ...(result === undefined ? [] : resultProblems(result, events)),
      ];
      problems.push(...found.map((problem) => `${id}: ${problem}`));
      return { ...end, id, events, result };
    });
    const run: Running = { ...command, id, ended };
    running.add(run);
    return run;
  };
  return {
    folder,
    runDir,
    boundary,
    newId,
    tapwarden: async (args, options = {}) => await runTapwarden(args, { ...options, env: { ...env, ...options.env } }),
    isOurs: ({ uid }) => uid >= uids.first && uid < uids.first + uids.count,
    start: startRun,
    run: async (args, options = {}) => {
      const run = startRun(args, options);
      run.stdin.end(options.input ?? '');
      return await run.ended;
    },
  };
}

/** The words before `--`, which are tapwarden's own. */
function ownArguments(args: readonly string[]): readonly string[] {
  const split = args.indexOf('--');
  return split === -1 ? args : args.slice(0, split);
}

function withDefault(args: readonly string[], option: string, value: string): readonly [readonly string[], string] {
  const at = args.indexOf(option);
  return at === -1 ? [[...args, option, value], value] : [args, args[at + 1] ?? ''];
}
