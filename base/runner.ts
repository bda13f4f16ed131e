import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { env } from 'node:process';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
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
  /** Variables beside those of this process; `PATH` is {@link systemPath} unless it is among them. `LC_ALL` is always `C`, so that messages can be classified. */
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
 * Where programs are searched: the system's own directories, whatever `$PATH` says. npm puts a project's `.bin` before
 * all others, and there `nft` is the Node File Trace of some package, which takes a ruleset, does nothing and ends with 0.
 */
export const systemPath = '/usr/sbin:/usr/bin:/sbin:/bin';

const defaultTimeoutMs = 30_000;
/** Execa copies and escapes what a failed program printed: at 64 MiB of hostile bytes that ends this process. */
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
  const [file, ...args] = argv;
  const timeoutMs = options.timeoutMs ?? defaultTimeoutMs;
  const subprocess = execa(file, args, {
    ...(options.input === undefined ? { stdin: 'ignore' as const } : { input: options.input }),
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.signal === undefined ? {} : { cancelSignal: options.signal }),
    env: { PATH: systemPath, ...options.env, LC_ALL: 'C' },
    killSignal: 'SIGKILL',
    maxBuffer: maxOutputBytes,
    stripFinalNewline: false,
    reject: false,
  });
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    subprocess.kill('SIGKILL');
    // Whoever inherited the pipes may hold them open for as long as it likes.
    subprocess.stdout.destroy();
    subprocess.stderr.destroy();
  }, timeoutMs);
  const { onLine } = options;
  const lines = onLine === undefined ? [] : [subprocess.stdout, subprocess.stderr].map((s) => eachLine(s, onLine));
  const result = await subprocess.finally(() => clearTimeout(timer));
  await Promise.all(lines);
  const okStatuses = options.okStatuses ?? [0];
  const whole = !timedOut && !result.isMaxBuffer && !result.isCanceled;
  if (whole && result.exitCode !== undefined && okStatuses.includes(result.exitCode)) {
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
  if (timedOut) {
    throw new TapwardenError('COMMAND_TIMEOUT', {
      message: `'${shown}' did not end within ${timeoutMs} ms`,
      details: { argv, timeoutMs },
      cause: result,
    });
  }
  const stderr = typeof result.stderr === 'string' ? result.stderr : '';
  throw new TapwardenError('COMMAND_FAILED', {
    message: `'${shown}' ${howItEnded(result)}: ${escapeText(stderr.trim() || 'it printed no reason', 500)}`,
    details: { argv, status: result.exitCode, signal: result.signal, stderr },
    cause: result,
  });
};

function howItEnded(result: Failure): string {
  if (result.isMaxBuffer) return `printed more than ${maxOutputBytes} bytes`;
  if (result.isCanceled) return 'was cancelled';
  if (result.signal !== undefined) return `ended with ${result.signal}`;
  if (result.exitCode !== undefined) return `ended with status ${result.exitCode}`;
  return `could not be started (${errnoOf(result) ?? errnoOf(result.cause) ?? 'no errno'})`;
}

/**
 * Starts a program that goes on running, with descriptors and handles passed as Node's `spawn` passes them, which is
 * why it is `spawn`: execa wraps every descriptor in a stream of its own.
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

/** What is read of execa's result. */
type Failure = {
  readonly isMaxBuffer: boolean;
  readonly isCanceled: boolean;
  readonly signal?: string | undefined;
  readonly exitCode?: number | undefined;
  readonly cause?: unknown;
};

/** Resolves when the stream has ended and every line of it was passed on. */
async function eachLine(stream: Readable, onLine: (line: string) => void): Promise<void> {
  const lines = createInterface({ input: stream });
  lines.on('line', onLine);
  // A pipe that the timeout closed ends without an 'end', on which alone readline closes.
  stream.once('close', () => lines.close());
  await once(lines, 'close');
}
