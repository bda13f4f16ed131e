import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
import { env } from 'node:process';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { TapwardenError } from './errors.ts';
import { escapeText } from './escape.ts';

/** A program and its arguments. No shell reads it. Example: `['ip', 'netns', 'add', 'tw-a']`. */
export type Argv = readonly [string, ...string[]];

/** How a program is run. */
export type RunOptions = {
  /** Bytes for standard input; without it standard input is empty. */
  readonly input?: string | Uint8Array;
  /** Milliseconds until the program is killed. @default 30000 */
  readonly timeoutMs?: number;
  /**
   * Variables beside those of this process. `PATH` is {@link systemPath} unless it is among them; `LC_ALL` is always `C`,
   * so that messages can be classified.
   */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Exit statuses that are answers, not failures. @default [0] */
  readonly okStatuses?: readonly number[];
  /** Ends the program when it fires. */
  readonly signal?: AbortSignal;
  /** Called with each line of output and of error output as it comes, and with all of them before `run` is done. */
  readonly onLine?: (line: string) => void;
};

/** What a program left behind: its status and all that it printed, unchanged. */
export type RunResult = { readonly status: number; readonly stdout: string; readonly stderr: string };

/** Runs a program to its end. Functions take it as an argument so that tests can script it. */
export type Run = (argv: Argv, options?: RunOptions) => Promise<RunResult>;

/** How a program ended: `status` is `null` when a signal ended it, and `error` stands where it could not start. */
export type Ended = {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly error?: NodeJS.ErrnoException;
};

/** A program that goes on running. `ended` never rejects. The caller ends the program. */
export type Child = { readonly process: ChildProcess; readonly ended: Promise<Ended> };

/** How a program is started that goes on running. */
export type StartOptions = {
  /** Node's `stdio`: words, streams or descriptors. @default 'ignore' */
  readonly stdio?: StdioOptions;
  /** The whole environment of the program; without it, that of this process, with {@link systemPath}. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** In a session of its own, so that a terminal's Ctrl-C does not reach it. @default false */
  readonly detached?: boolean;
};

/**
 * Where programs are searched, whatever `$PATH` says: the system's own directories, or those of `TAPWARDEN_PATH`. npm
 * puts a project's `.bin` before all others, and there `nft` is the Node File Trace of some package, which takes a
 * ruleset, does nothing and ends with 0.
 */
export const systemPath = env['TAPWARDEN_PATH'] ?? '/usr/sbin:/usr/bin:/sbin:/bin';

const defaultTimeoutMs = 30_000;
/** More than any program here prints; what goes on printing is broken or hostile. */
const maxOutputBytes = 16 * 1024 * 1024;

/**
 * Runs a program to its end and returns what it printed. `timeoutMs` holds even where the program left a child behind
 * that keeps its output open.
 *
 * @throws PROGRAM_MISSING when the program does not exist
 * @throws COMMAND_TIMEOUT when it does not end in `timeoutMs`
 * @throws COMMAND_FAILED when its status is not one of `okStatuses`, a signal ended it, it could not be started or it
 *   printed more than 16 MiB; `details` is `{argv, status, signal, stderr}`
 */
export const run: Run = async (argv, options = {}) => {
  const [file] = argv;
  const timeoutMs = options.timeoutMs ?? defaultTimeoutMs;
  const okStatuses = options.okStatuses ?? [0];
  const outcome = await runToEnd(argv, options, timeoutMs);
  const { status, stdout, stderr, reason } = outcome;
  if (reason === undefined && status !== null && okStatuses.includes(status)) return { status, stdout, stderr };
  const shown = argv.map((part) => escapeText(part, 60)).join(' ');
  if (outcome.error?.code === 'ENOENT') {
    throw new TapwardenError('PROGRAM_MISSING', {
      message: `Cannot run '${shown}': the program '${file}' is not there`,
      hint: "Install what 'tapwarden doctor' names.",
      details: { argv },
      cause: outcome.error,
    });
  }
  if (reason === 'timeout') {
    throw new TapwardenError('COMMAND_TIMEOUT', {
      message: `'${shown}' did not end within ${timeoutMs} ms`,
      details: { argv, timeoutMs },
    });
  }
  throw new TapwardenError('COMMAND_FAILED', {
    message: `'${shown}' ${howItEnded(outcome)}: ${escapeText(stderr.trim() || 'it printed no reason', 500)}`,
    details: { argv, status, signal: outcome.signal, stderr },
    cause: outcome.error,
  });
};

/** What became of a program, and why we ended it, if we did. */
type Outcome = Ended & {
  readonly stdout: string;
  readonly stderr: string;
  readonly reason: 'timeout' | 'cancelled' | 'output' | undefined;
};

async function runToEnd(argv: Argv, options: RunOptions, timeoutMs: number): Promise<Outcome> {
  const child = start(argv, {
    stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    env: { ...definedVariables(env), PATH: systemPath, ...options.env, LC_ALL: 'C' },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  const { stdin, stdout, stderr } = child.process;
  let reason: Outcome['reason'];
  const end = (why: NonNullable<Outcome['reason']>): void => {
    reason ??= why;
    child.process.kill('SIGKILL');
    // Whoever inherited the pipes may hold them open for as long as it likes.
    stdout?.destroy();
    stderr?.destroy();
  };
  const timer = setTimeout(() => end('timeout'), timeoutMs);
  const cancel = (): void => end('cancelled');
  options.signal?.addEventListener('abort', cancel, { once: true });
  if (options.signal?.aborted === true) cancel();
  // A program that ends without reading its input breaks the pipe, which is its own affair.
  stdin?.on('error', () => undefined);
  stdin?.end(options.input);
  const outputs = await Promise.all([
    collect(stdout, options.onLine, () => end('output')),
    collect(stderr, options.onLine, () => end('output')),
    child.ended,
  ]).finally(() => {
    clearTimeout(timer);
    options.signal?.removeEventListener('abort', cancel);
  });
  return { ...outputs[2], stdout: outputs[0], stderr: outputs[1], reason };
}

/** All that comes from a stream until it ends or is destroyed, as text; `onExcess` is called when it is too much. */
async function collect(stream: Readable | null, onLine: RunOptions['onLine'], onExcess: () => void): Promise<string> {
  if (stream === null) return '';
  const pieces: Buffer[] = [];
  let size = 0;
  const lines = onLine === undefined ? undefined : createInterface({ input: stream }).on('line', onLine);
  stream.on('data', (piece: Buffer) => {
    size += piece.length;
    if (size > maxOutputBytes) onExcess();
    else pieces.push(piece);
  });
  await new Promise<void>((resolve) => {
    stream.once('error', () => resolve());
    stream.once('close', () => resolve());
  });
  lines?.close();
  return Buffer.concat(pieces).toString('utf8');
}

function definedVariables(env: NodeJS.ProcessEnv): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
}

function howItEnded({ reason, signal, status, error }: Outcome): string {
  if (reason === 'output') return `printed more than ${maxOutputBytes} bytes`;
  if (reason === 'cancelled') return 'was cancelled';
  if (signal !== null) return `ended with ${signal}`;
  if (status !== null) return `ended with status ${status}`;
  return `could not be started (${error?.code ?? 'no errno'})`;
}

/**
 * Starts a program that goes on running. Descriptors and handles are passed as Node's `spawn` passes them.
 */
export function start(argv: Argv, options: StartOptions = {}): Child {
  const [file, ...args] = argv;
  const process = spawn(file, args, {
    stdio: options.stdio ?? 'ignore',
    env: options.env ?? { ...env, PATH: systemPath },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    detached: options.detached ?? false,
  });
  const ended = new Promise<Ended>((resolve) => {
    process.once('error', (error: NodeJS.ErrnoException) => resolve({ status: null, signal: null, error }));
    process.once('exit', (status, signal) => resolve({ status, signal }));
  });
  return { process, ended };
}
