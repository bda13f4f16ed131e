import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { constants, hostname } from 'node:os';
import { basename, isAbsolute, join, resolve } from 'node:path';
import { isTapwardenError, messageOf, run as runProgram, sanitizeText, TapwardenError } from '../../base/index.ts';
import {
  checkSandboxId,
  defaultRotation,
  directDestinations,
  type ExecEnd,
  type ExecRequest,
  openEventsFile,
  poolOf,
  prepareMachine,
  type RunSummary,
  Sandbox,
} from '../../driver-vm/index.ts';
import { ensureWorkloadImage, type WorkloadImage } from '../../init/index.ts';
import { makeLogTag } from '../../nft/index.ts';
import type { FsyncPolicy, Rotation } from '../../ocsf/index.ts';
import type { Command, Context } from '../context.ts';
import { ownFailure } from '../context.ts';
import { readNumber, readOptions, readWord, usage } from '../options.ts';
import { packageVersion } from '../package-info.ts';
import { type LoadedPolicy, loadPolicy } from '../policy-file.ts';
import { Progress } from '../progress.ts';
import { writeResult } from '../result-file.ts';
import { Interrupted, SignalRelay } from '../signals.ts';
import { writeTimings } from '../timings-file.ts';

/** `tapwarden run`. */
export const runCommand: Command = {
  help: `Usage: tapwarden run [OPTION]… -- COMMAND [ARG…]

Boots a microVM, runs COMMAND in it and takes everything away again. Standard input, output and error pass through
unchanged. Packets that go around the proxy are refused, and each attempt is an OCSF event.

What may be reached
  --policy FILE         the egress policy, YAML or JSON (default: nothing may be reached)
  --allow HOST:PORT     one more destination; may be repeated

The machine
  --jail                no machine: COMMAND runs on this host's kernel, with the same fence, proxy and events, as a user
                        of its own that sees the host's programs read-only. Quicker, and one boundary fewer
  --image NAME          the image whose files COMMAND sees: 'default', the name of an image in the state directory, or
                        a path to an .ext4 file (default: default; in a jail: the host's own, as far as they are shown)
  --cpus N              processors, 1 to 64 (default: 1)
  --memory MIB          memory, 256 to 65536 MiB (default: 512)
  --id ID               the sandbox's name, a-z, 0-9 and '-' (default: a random one)

The command
  --env K=V             a variable; may be repeated. 'K' alone takes the value of this shell
  --workdir DIR         where it starts; made if it is not there (default: /home/workload)
  --timeout SECONDS     end it after so long: SIGTERM, 5 s later SIGKILL, 5 s later the sandbox; exit status 124

The record
  --events FILE         the OCSF events, appended as JSON lines
                        (default: events/ID.jsonl in the state directory)
  --events-max-size MIB begin a new file at this size, 1 to 1048576 MiB, and each day, UTC (default: 256); the old one
                        gets the number of its first event as its last name
  --events-keep N       keep this many old files, 1 to 100000, beside the new one (default: 16)
  --fsync POLICY        when events are brought to the disk: 'always' at once, 'interval' within a second, 'never' when
                        the system likes; only 'always' survives a power loss (default: interval)
  --result FILE         a JSON object that says how the run ended and what was allowed, denied and lost
  --allow-unlogged      go on where the kernel cannot log: attempts are then refused unseen
  --canary SECONDS      how often the fence is tried by packets that it must refuse, log and tell of, 1 to 3600
                        (default: 30)
  --no-audit            leave the kernel's audit system alone, in a jail the host's: of most packets no process is named
  --quiet               no progress and no summary on standard error

Exit status: that of COMMAND; 128+n when signal n ended it; 124 on timeout; 125 when tapwarden failed; 126 when COMMAND
cannot be executed, 127 when it is not found. SIGINT and SIGTERM reach COMMAND; a second one ends the sandbox.
`,
  run: async (context, args) => await runInSandbox(context, readRunOptions(context, args)),
};

type RunOptions = {
  readonly id: string;
  readonly policyFile: string | undefined;
  readonly allow: readonly string[];
  readonly jail: boolean;
  /** `undefined`: the default image, or in a jail the host's own root. */
  readonly image: string | undefined;
  readonly cpus: number;
  readonly memoryMiB: number;
  /** Limits that were asked for on the command line. */
  readonly limits: readonly ('cpu' | 'memory')[];
  readonly exec: ExecRequest;
  readonly timeoutMs: number | undefined;
  readonly eventsFile: string;
  readonly rotation: Rotation;
  readonly fsync: FsyncPolicy;
  readonly resultFile: string | undefined;
  readonly allowUnlogged: boolean;
  readonly canarySeconds: number;
  readonly audit: boolean;
  readonly quiet: boolean;
};

function readRunOptions(context: Context, args: readonly string[]): RunOptions {
  const split = args.indexOf('--');
  const own = split === -1 ? args : args.slice(0, split);
  const { values } = readOptions('run', own, {
    policy: { type: 'string' },
    allow: { type: 'string', multiple: true },
    jail: { type: 'boolean' },
    image: { type: 'string' },
    cpus: { type: 'string' },
    memory: { type: 'string' },
    id: { type: 'string' },
    env: { type: 'string', multiple: true },
    workdir: { type: 'string' },
    timeout: { type: 'string' },
    events: { type: 'string' },
    'events-max-size': { type: 'string' },
    'events-keep': { type: 'string' },
    fsync: { type: 'string' },
    result: { type: 'string' },
    'allow-unlogged': { type: 'boolean' },
    canary: { type: 'string' },
    'no-audit': { type: 'boolean' },
    quiet: { type: 'boolean' },
  });
  const argv = split === -1 ? [] : args.slice(split + 1);
  if (argv.length === 0)
    throw usage("there is no command: it stands behind '--', as in 'tapwarden run -- true'", 'run');
  if (argv[0] === '') throw usage('the command is an empty word', 'run');
  const workdir = values.workdir ?? null;
  if (workdir !== null && (!isAbsolute(workdir) || workdir.length > 4096)) {
    throw usage(`--workdir takes an absolute path of the sandbox, not '${workdir}'`, 'run');
  }
  const id = checkSandboxId(values.id ?? randomBytes(5).toString('hex'));
  const timeout = readNumber('run', '--timeout', values.timeout, { min: 1, max: 31_536_000, unit: 'seconds' });
  return {
    id,
    policyFile: values.policy,
    allow: values.allow ?? [],
    jail: values.jail ?? false,
    image: values.image,
    cpus: readNumber('run', '--cpus', values.cpus, { min: 1, max: 64, unit: 'processors' }) ?? 1,
    memoryMiB: readNumber('run', '--memory', values.memory, { min: 256, max: 65_536, unit: 'MiB' }) ?? 512,
    limits: [
      ...(values.cpus === undefined ? [] : ['cpu' as const]),
      ...(values.memory === undefined ? [] : ['memory' as const]),
    ],
    exec: { argv, env: readEnvironment(context, values.env ?? []), workdir },
    timeoutMs: timeout === undefined ? undefined : timeout * 1000,
    eventsFile: resolve(values.events ?? join(context.paths.stateDir, 'events', `${id}.jsonl`)),
    rotation: readRotation(values['events-max-size'], values['events-keep']),
    fsync: readWord('run', '--fsync', values.fsync, ['always', 'interval', 'never']) ?? 'interval',
    resultFile: values.result,
    allowUnlogged: values['allow-unlogged'] ?? false,
    canarySeconds: readNumber('run', '--canary', values.canary, { min: 1, max: 3600, unit: 'seconds' }) ?? 30,
    audit: !(values['no-audit'] ?? false),
    quiet: values.quiet ?? false,
  };
}

function readRotation(size: string | undefined, keep: string | undefined): Rotation {
  const mebibytes = readNumber('run', '--events-max-size', size, { min: 1, max: 1_048_576, unit: 'MiB' });
  const files = readNumber('run', '--events-keep', keep, { min: 1, max: 100_000, unit: 'files' });
  return {
    maxBytes: mebibytes === undefined ? defaultRotation.maxBytes : mebibytes * 1024 * 1024,
    retention: files === undefined ? { ...defaultRotation.retention } : { files },
  };
}

function readEnvironment(context: Context, words: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(
    words.map((word) => {
      const [, name, , value] = /^([A-Za-z_][A-Za-z0-9_]*)(=([^\0]*))?$/s.exec(word) ?? [];
      if (name === undefined) throw usage(`--env takes NAME=VALUE or NAME, not '${word.slice(0, 80)}'`, 'run');
      const found = value ?? context.env[name];
      if (found === undefined) throw usage(`--env ${name}: this shell has no such variable`, 'run');
      return [name, found];
    }),
  );
}

/** How a run ended, for the exit status and the result file. */
export type RunEnd = {
  readonly exit: number;
  readonly reason: 'exited' | 'signal' | 'timeout' | 'tapwarden';
  readonly summary: RunSummary | undefined;
};

async function runInSandbox(context: Context, options: RunOptions): Promise<number> {
  const progress = new Progress(context, options.quiet);
  let end: RunEnd = { exit: ownFailure, reason: 'tapwarden', summary: undefined };
  const onSummary = (summary: RunSummary): void => {
    end = { ...end, summary };
  };
  try {
    const how = await runToEnd(context, options, progress, onSummary);
    end = { ...end, ...how };
    return end.exit;
  } catch (error) {
    if (isTapwardenError(error, 'COMMAND_NOT_FOUND')) end = { ...end, exit: 127 };
    if (isTapwardenError(error, 'COMMAND_NOT_EXECUTABLE')) end = { ...end, exit: 126 };
    if (error instanceof Interrupted) end = { ...end, exit: 128 + error.signal, reason: 'signal' };
    if (end.exit === ownFailure) throw error;
    progress.error(error);
    return end.exit;
  } finally {
    progress.clear();
    if (options.resultFile !== undefined) await writeResult(options.resultFile, end, options.eventsFile);
  }
}

/** Runs the command and says how it ended. A run that fails later has a record all the same: hence `onSummary`. */
async function runToEnd(
  context: Context,
  options: RunOptions,
  progress: Progress,
  onSummary: (summary: RunSummary) => void,
): Promise<Pick<RunEnd, 'exit' | 'reason'>> {
  requireRoot();
  const loaded = Date.now();
  const policy = await loadPolicy(options.policyFile, options.allow);
  const pool = poolOf(context.env);
  const direct = await directDestinations(policy.policy, pool);
  const { carrier, image } = await prepareCarrier(context, options, progress);
  const prepared = Date.now();
  const signals = new SignalRelay();
  try {
    const events = await openEventsFile(options.eventsFile, options.rotation);
    if (events.torn !== undefined) progress.say(`a torn last line of the event log was moved to ${events.torn}`);
    const sandbox = await Sandbox.create({
      id: options.id,
      paths: context.paths,
      run: runProgram,
      ...carrier,
      policy: policy.policy,
      direct,
      pool,
      context: eventContext(options, policy, image),
      tag: makeLogTag(randomBytes(16)),
      events,
      fsync: options.fsync,
      allowUnlogged: options.allowUnlogged,
      canaryMs: options.canarySeconds * 1000,
      audit: options.audit,
      onProgress: (line) => progress.step(line),
      onWarning: (line) => progress.say(line),
    });
    try {
      return await useSandbox(sandbox, options, signals, progress, onSummary);
    } finally {
      await writeTimings(context, { loaded, prepared, ...sandbox.timings });
    }
  } finally {
    signals.stop();
  }
}

/** What carries the sandbox, and the image that the workload sees: of a jail the host's own files, without one. */
async function prepareCarrier(context: Context, options: RunOptions, progress: Progress) {
  const { cpus, memoryMiB, limits: required } = options;
  const { stateDir } = context.paths;
  const common = { stateDir, run: runProgram, onProgress: (line: string) => progress.step(line) };
  if (options.jail) {
    progress.warn('this is a jail: no virtual machine stands between the command and this host');
    const image =
      options.image === undefined ? undefined : await ensureWorkloadImage({ ...common, name: options.image });
    return { carrier: { jail: { limits: { cpus, memoryMiB }, required, image: image?.path ?? null } }, image };
  }
  const guestDir = context.env['TAPWARDEN_GUEST_DIR'];
  const machine = await prepareMachine({
    ...common,
    ...(options.image === undefined ? {} : { image: options.image }),
    ...(guestDir === undefined ? {} : { guestDir }),
  });
  return { carrier: { ...machine, cpus, memoryMiB }, image: machine.workload };
}

/** Runs the command in a sandbox that was made, and takes the sandbox away whatever happens. */
async function useSandbox(
  sandbox: Sandbox,
  options: RunOptions,
  signals: SignalRelay,
  progress: Progress,
  onSummary: (summary: RunSummary) => void,
): Promise<Pick<RunEnd, 'exit' | 'reason'>> {
  try {
    progress.step(options.jail ? 'starting the jail' : 'booting the guest');
    await Promise.race([sandbox.start(), signals.beforeCommand()]);
    progress.clear();
    if (!sandbox.logging) {
      progress.warn('the kernel cannot log: attempts are refused unseen, and counted without an event of their own');
    }
    const limit = startTimeLimit(options.timeoutMs, sandbox);
    const end = await Promise.race([
      sandbox.exec(options.exec, () => {
        limit.begin();
        signals.forward((signal) => sandbox.signal(signal));
      }),
      signals.secondTime(),
      limit.ignored,
    ]).finally(() => limit.stop());
    const summary = await sandbox.stop(describeEnd(end, limit.expired));
    onSummary(summary);
    progress.summary(summary, options.eventsFile);
    progress.report(summary, options.eventsFile);
    if (summary.problem !== null) throw incomplete(summary, options.eventsFile);
    return exitOf(end, limit.expired);
  } catch (error) {
    // The record of a run that failed is finished too, where that is still possible.
    await sandbox.stop(`failed: ${messageOf(error).split('\n')[0]}`, true).then(onSummary, () => undefined);
    throw error;
  } finally {
    await sandbox.delete();
  }
}

function incomplete({ problem, unwritten }: RunSummary, eventsFile: string): TapwardenError {
  return new TapwardenError('EVENTS_UNWRITABLE', {
    message: `The event log ${eventsFile} is not complete, ${unwritten} events are lost: ${sanitizeText(problem ?? '', 4096)}`,
    hint: 'The command has run to its end; make room on the disk before the next run.',
    details: { unwritten },
  });
}

function eventContext(options: RunOptions, { policy, name }: LoadedPolicy, image: WorkloadImage | undefined) {
  const digest = createHash('sha256').update(JSON.stringify(policy)).digest('hex');
  return {
    ocsfVersion: '1.8.0',
    productVersion: packageVersion,
    logName: basename(options.eventsFile),
    sandboxId: options.id,
    runId: randomUUID(),
    hostname: hostname(),
    ...(options.jail ? {} : { hypervisor: 'qemu' as const }),
    ...(image === undefined ? {} : { image: { name: image.name, uid: image.path } }),
    policy: { uid: `sha256:${digest.slice(0, 16)}`, name, version: `sha256:${digest}` },
  } as const;
}

type TimeLimit = {
  readonly begin: () => void;
  readonly stop: () => void;
  readonly expired: boolean;
  /** Resolves when the guest did not end the command although it was told to: it may be in other hands. */
  readonly ignored: Promise<ExecEnd>;
};

/** Milliseconds between the steps that end a command which runs too long: SIGTERM, SIGKILL, the virtual machine. */
const graceMs = 5000;

function startTimeLimit(timeoutMs: number | undefined, sandbox: Sandbox): TimeLimit {
  const timers: NodeJS.Timeout[] = [];
  const after = (ms: number, step: () => void): void => {
    timers.push(setTimeout(step, ms));
  };
  let giveUp = (_end: ExecEnd): void => undefined;
  const limit = {
    expired: false,
    ignored: new Promise<ExecEnd>((resolve) => {
      giveUp = resolve;
    }),
    begin: (): void => {
      if (timeoutMs === undefined) return;
      after(timeoutMs, () => {
        limit.expired = true;
        sandbox.signal(constants.signals.SIGTERM);
      });
      after(timeoutMs + graceMs, () => sandbox.signal(constants.signals.SIGKILL));
      after(timeoutMs + 2 * graceMs, () => giveUp({ status: null, signal: constants.signals.SIGKILL }));
    },
    stop: (): void => {
      for (const timer of timers) clearTimeout(timer);
    },
  };
  return limit;
}

function exitOf(end: ExecEnd, expired: boolean): Pick<RunEnd, 'exit' | 'reason'> {
  if (expired) return { exit: 124, reason: 'timeout' };
  if (end.signal !== null) return { exit: 128 + end.signal, reason: 'signal' };
  return { exit: end.status ?? ownFailure, reason: 'exited' };
}

function describeEnd(end: ExecEnd, expired: boolean): string {
  if (expired) return 'the command ran longer than its timeout';
  return end.signal === null
    ? `the command exited with status ${end.status}`
    : `signal ${end.signal} ended the command`;
}

function requireRoot(): void {
  if (process.geteuid?.() === 0) return;
  throw new TapwardenError('NOT_ROOT', {
    message: "'tapwarden run' needs root: it makes network namespaces, devices and nftables rules",
    hint: "Use sudo. 'tapwarden rules' shows what would be loaded, without root.",
  });
}
