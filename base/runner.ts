import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
import { execa } from 'execa';
import { errnoOf, TapwardenError } from './errors.ts';
import { escapeText } from './escape.ts';

/** A program and its arguments. No shell reads it. Example: `['ip', 'netns', 'add', 'tw-a']`. */
export type Argv = readonly [string, ...string[]];

/** How a program is run. */
export type RunOptions = {
  /** Bytes for standard input; without it standard input is empty. */
  readonly input?: string | Uint8Array;
  /** Milliseconds until the program is killed. @default 30000 */
  readonly timeoutMs?: number;
  /** Variables beside those of this process. `LC_ALL` is always `C`, so that messages can be classified. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Exit statuses that are answers, not failures. @default [0] */
  readonly okStatuses?: readonly number[];
  /** Ends the program when it fires. */
  readonly signal?: AbortSignal;
  /** Called with each line of the program's output as it comes, for progress of long work. */
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
  /** The whole environment of the program; without it, that of this process. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** In a session of its own, so that a terminal's Ctrl-C does not reach it. @default false */
  readonly detached?: boolean;
};

const defaultTimeoutMs = 30_000;
const maxOutputBytes = 64 * 1024 * 1024;

/**
 * Runs a program to its end and returns what it printed.
 *
 * @throws PROGRAM_MISSING when the program does not exist
 * @throws COMMAND_TIMEOUT when it does not end in `timeoutMs`
 * @throws COMMAND_FAILED when its status is not one of `okStatuses`, or a signal ended it;
 *   `details` is `{argv, status, signal, stderr}`
 */
export const run: Run = async (argv, options = {}) => {
  const [file, ...args] = argv;
  const timeoutMs = options.timeoutMs ?? defaultTimeoutMs;
  const subprocess = execa(file, args, {
    ...(options.input === undefined ? { stdin: 'ignore' as const } : { input: options.input }),
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.signal === undefined ? {} : { cancelSignal: options.signal }),
    env: { ...options.env, LC_ALL: 'C' },
    timeout: timeoutMs,
    killSignal: 'SIGKILL',
    maxBuffer: maxOutputBytes,
    all: true,
    stripFinalNewline: false,
    reject: false,
  });
  if (options.onLine !== undefined) {
    void eachLine(subprocess.iterable({ from: 'all' }), options.onLine);
  }
  const result = await subprocess;
  const okStatuses = options.okStatuses ?? [0];
  if (result.exitCode !== undefined && okStatuses.includes(result.exitCode)) {
    return { status: result.exitCode, stdout: result.stdout, stderr: result.stderr };
  }
  const shown = argv.map((part) => escapeText(part, 60)).join(' ');
  if (errnoOf(result) === 'ENOENT' || errnoOf(result.cause) === 'ENOENT') {
    throw new TapwardenError('PROGRAM_MISSING', {
      message: `Cannot run '${shown}': the program '${file}' is not there`,
      hint: "Install what 'tapwarden doctor' names.",
      details: { argv },
      cause: result,
    });
  }
  if (result.timedOut) {
    throw new TapwardenError('COMMAND_TIMEOUT', {
      message: `'${shown}' did not end within ${timeoutMs} ms`,
      details: { argv, timeoutMs },
      cause: result,
    });
  }
  const stderr = typeof result.stderr === 'string' ? result.stderr : '';
  throw new TapwardenError('COMMAND_FAILED', {
    message: `'${shown}' ended with ${result.signal ?? `status ${String(result.exitCode)}`}: ${escapeText(stderr.trim() || 'it printed no reason', 500)}`,
    details: { argv, status: result.exitCode, signal: result.signal, stderr },
    cause: result,
  });
};

/**
 * Starts a program that goes on running, with descriptors and handles passed as Node's `spawn` passes them, which is
 * why it is `spawn`: execa wraps every descriptor in a stream of its own.
 */
export function start(argv: Argv, options: StartOptions = {}): Child {
  const [file, ...args] = argv;
  const process = spawn(file, args, {
    stdio: options.stdio ?? 'ignore',
    ...(options.env === undefined ? {} : { env: { ...options.env } }),
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    detached: options.detached ?? false,
  });
  const ended = new Promise<Ended>((resolve) => {
    process.once('error', (error: NodeJS.ErrnoException) => resolve({ status: null, signal: null, error }));
    process.once('exit', (status, signal) => resolve({ status, signal }));
  });
  return { process, ended };
}

async function eachLine(lines: AsyncIterable<unknown>, onLine: (line: string) => void): Promise<void> {
  try {
    for await (const line of lines) onLine(String(line));
  } catch {
    // The program's failure is reported by the promise of the program itself.
  }
}
