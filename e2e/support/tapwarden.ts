import { resolve } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { type Ended, start } from '../../base/index.ts';

/** How a command line of tapwarden is run. */
export type CommandOptions = {
  /** Bytes for standard input; without it standard input is at its end. */
  readonly input?: string | Uint8Array;
  /** Variables beside those of this process. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** A command line that is put before, for example `['setpriv', '--reuid=65534']`. */
  readonly before?: readonly string[];
  /** Whether standard output is kept; without it the caller reads `stdout` itself, as fast as it likes. @default true */
  readonly collect?: boolean;
  /** Milliseconds until it is killed, and the test fails. @default 120000 */
  readonly timeoutMs?: number;
};

/** What a command line left behind. */
export type CommandResult = {
  /** `null` when a signal ended tapwarden itself. */
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Standard output, empty where it is not collected. */
  readonly stdout: Buffer;
  readonly stderr: string;
  readonly stderrBytes: Buffer;
};

/** A command line that is running. Its standard input is the caller's to end. */
export type RunningCommand = {
  readonly pid: number;
  readonly stdin: Writable;
  readonly stdout: Readable;
  /** Standard output up to now, where it is collected. */
  readonly output: () => string;
  /** Standard error up to now. */
  readonly errors: () => string;
  readonly kill: (signal: NodeJS.Signals) => void;
  readonly ended: Promise<CommandResult>;
};

const program = resolve('bin/tapwarden.js');

/** Runs a command line of tapwarden to its end, as a shell would. Example: `runTapwarden(['run', '--', 'true'])`. */
export async function runTapwarden(args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
  const running = startTapwarden(args, options);
  running.stdin.end(options.input ?? '');
  return await running.ended;
}

/** Starts a command line of tapwarden. It is killed after `timeoutMs`, and when this process ends. */
export function startTapwarden(args: readonly string[], options: CommandOptions = {}): RunningCommand {
  const [first, ...rest] = [...(options.before ?? []), process.execPath, program, ...args];
  const child = start([first ?? '', ...rest], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...stringsOf(process.env), ...options.env },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  const { pid, stdin, stdout, stderr } = child.process;
  if (pid === undefined || stdin === null || stdout === null || stderr === null) {
    throw new Error(`'${first}' cannot be started`);
  }
  const pieces: Buffer[] = [];
  const errors: Buffer[] = [];
  if (options.collect !== false) stdout.on('data', (piece: Buffer) => pieces.push(piece));
  stderr.on('data', (piece: Buffer) => errors.push(piece));
  // A command that does not read its input is not an error of the test.
  stdin.on('error', () => undefined);
  const kill = (signal: NodeJS.Signals): void => void child.process.kill(signal);
  const watchdog = setTimeout(() => kill('SIGKILL'), options.timeoutMs ?? 120_000);
  const onExit = (): void => kill('SIGKILL');
  process.once('exit', onExit);
  return {
    pid,
    stdin,
    stdout,
    output: () => Buffer.concat(pieces).toString('latin1'),
    errors: () => Buffer.concat(errors).toString('utf8'),
    kill,
    ended: finished(child.ended, [stdout, stderr]).then(({ status, signal }) => {
      clearTimeout(watchdog);
      process.off('exit', onExit);
      const stderrBytes = Buffer.concat(errors);
      return { status, signal, stdout: Buffer.concat(pieces), stderr: stderrBytes.toString('utf8'), stderrBytes };
    }),
  };
}

async function finished(ended: Promise<Ended>, streams: readonly Readable[]): Promise<Ended> {
  const closed = streams.map(
    async (stream) =>
      await new Promise<void>((done) => {
        if (stream.closed) done();
        else stream.once('close', done);
      }),
  );
  const end = await ended;
  await Promise.all(closed);
  return end;
}

function stringsOf(env: NodeJS.ProcessEnv): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
}
