import { close, constants, open as openCallback, readFileSync } from 'node:fs';
import { chown, mkdir, open, rm, writeFile } from 'node:fs/promises';
import { Socket } from 'node:net';
import { constants as osConstants } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { escapeText, loadMakeFifo, start, systemPath, TapwardenError } from '../base/index.ts';
import { workloadUser } from '../init/contract.ts';
import { execIds } from './attribution/exec-ids.ts';
import { inWorkloadNamespace } from './fence-loader.ts';
import { place } from './place.ts';
import { endOfFirstProgram, type ProcessEnd, readAccounting } from './process-accounting.ts';
import { sandboxArguments } from './sandbox-arguments.ts';
import { readSandboxReport } from './sandbox-report.ts';
import { seccompFilter } from './seccomp.ts';
import { execCgroup, workloadPaths } from './workload-layout.ts';
import { findCommand, resolveIn } from './workload-path.ts';

/** What to run. */
export type ExecSpec = {
  /** Number of the exec in this guest, from 1. */
  readonly exec: number;
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** A directory in the workload's root, made if it is not there; `null` is the workload's home. */
  readonly workdir: string | null;
};

/** A running command: its streams, its end, and how to send it a signal. */
export type Exec = {
  /** Process 1 of the sandbox, as seen from the guest. */
  readonly pid: number;
  readonly stdin: Socket;
  readonly stdout: Socket;
  readonly stderr: Socket;
  /**
   * How the command ended. Every process that it left behind is gone by then. Fails with GUEST_SETUP_FAILED where the sandbox
   * ended before it had executed the command.
   */
  readonly ended: Promise<ProcessEnd>;
  readonly kill: (signal: number) => Promise<void>;
};

/** Where bwrap finds the descriptor for its report. */
const statusFd = 4;

const openFd = promisify(openCallback);
const closeFd = promisify(close);

/**
 * Starts a command as the workload: unprivileged, without capabilities, in the workload's network namespace and in pid,
 * mount, IPC, UTS and cgroup namespaces of its own, under the system call filter.
 *
 * Its standard streams are pipes, not the socket pairs that Node makes, so that `/dev/stdout` can be opened as in a shell.
 *
 * @throws COMMAND_NOT_FOUND when no such program is in the image
 * @throws COMMAND_NOT_EXECUTABLE when it is there and cannot be run
 * @throws GUEST_SETUP_FAILED when the sandbox around it cannot be built
 */
export async function startExec(spec: ExecSpec): Promise<Exec> {
  const workdir = await prepareWorkdir(spec.workdir);
  const command = await lookUp(spec, workdir);
  const cgroup = execCgroup(spec.exec);
  const folder = join(workloadPaths.execs, String(spec.exec));
  // The first cgroups are made at boot; that a number is used once, the folder shows.
  await Promise.all([mkdir(cgroup, { recursive: true }), mkdir(folder, { mode: 0o700 })]);
  const pipes = await makePipes(folder);
  const filter = join(folder, 'seccomp');
  await writeFile(filter, seccompFilter());
  const filterFile = await open(filter, 'r');
  const userFile = place.jail === undefined ? undefined : await open(workloadPaths.user, 'r');
  const argv = [command, ...spec.argv.slice(1)] as const;
  const child = start(
    // The shell moves itself into the exec's cgroup, takes the exec's audit session id where the kernel has such, and is
    // replaced by what follows. From the supervisor it has inherited
    // that it is never killed for want of memory; a cgroup of such processes hangs at its limit for good.
    [
      'sh',
      '-c',
      'echo 0 >"$0/cgroup.procs" && echo 1000 >/proc/self/oom_score_adj && { echo "$1" >/proc/self/loginuid || :; } 2>/dev/null && shift && exec "$@"',
      cgroup,
      String(execIds.first + spec.exec),
      ...inWorkloadNamespace.slice(0, -1),
      ...asWorkload,
      '--',
      ...sandboxArguments({
        env: spec.env,
        workdir,
        seccompFd: 3,
        statusFd,
        ...(userFile === undefined ? {} : { userFd: 5 }),
      }),
      '--',
      ...argv,
    ],
    {
      stdio: [...pipes.inner, filterFile.fd, 'pipe', ...(userFile === undefined ? [] : [userFile.fd])],
      // Process 1 of the sandbox keeps it, for all in it to see.
      ...(place.jail === undefined ? {} : { env: { PATH: systemPath, LANG: 'C.UTF-8' } }),
    },
  );
  await Promise.all([...pipes.inner.map(async (fd) => await closeFd(fd)), filterFile.close(), userFile?.close()]);
  const report = readSandboxReport(child, statusFd);
  const pid = await report.pid;
  if (pid === undefined) {
    const why = await collect(pipes.stderr);
    await endExec(cgroup, folder);
    throw new TapwardenError('GUEST_SETUP_FAILED', {
      message: `The sandbox of the command could not be built: ${escapeText(why.trim(), 2000) || 'no reason was given'}`,
    });
  }
  return {
    pid,
    stdin: pipes.stdin,
    stdout: pipes.stdout,
    stderr: pipes.stderr,
    kill: async (signal) => await killCommand(pid, signal),
    ended: child.ended.then(async ({ signal, status }) => {
      const end = endOfFirstProgram(await readAccounting(), pid) ?? endOf(await report.exitCode, signal);
      await endExec(cgroup, folder);
      if (end !== undefined) return end;
      throw new TapwardenError('GUEST_SETUP_FAILED', {
        message: `The command was not executed: its sandbox ended before it, with status ${status}`,
        hint: 'What the sandbox wrote is on standard error. Can the command be executed, and entered where it starts?',
      });
    }),
  };
}

/** Of a sandbox that was ended itself the command is gone with it. */
function endOf(exitCode: number | undefined, signal: NodeJS.Signals | null): ProcessEnd | undefined {
  if (exitCode !== undefined) return { status: exitCode, signal: null };
  return signal === null ? undefined : { status: null, signal: osConstants.signals[signal] };
}

/**
 * bwrap is set-user-id root in the guest and drops everything again; in a jail it has its rights from the user namespace,
 * which belongs to the workload's user. It starts as that user, which has no other group: nsenter takes them away.
 */
const asWorkload = ['-S', String(place.workload.uid), '-G', String(place.workload.gid)] as const;

async function lookUp(spec: ExecSpec, workdir: string): Promise<string> {
  const name = spec.argv[0] ?? '';
  const lookup = await findCommand(workloadPaths.root, name, {
    searchPath: spec.env['PATH'] ?? '/usr/bin:/bin',
    workdir,
    uid: place.workload.uid,
  });
  if (lookup.kind === 'found') return lookup.path;
  throw new TapwardenError(lookup.kind === 'not-found' ? 'COMMAND_NOT_FOUND' : 'COMMAND_NOT_EXECUTABLE', {
    message: `Cannot run '${escapeText(name, 200)}': ${escapeText(lookup.reason, 500)}`,
  });
}

/** The directory in which the command starts, as the workload names it. What is missing of it is made, as its own. */
async function prepareWorkdir(wanted: string | null): Promise<string> {
  const { root } = workloadPaths;
  if (wanted === null) return (await resolveIn(root, workloadUser.home)) === undefined ? '/' : workloadUser.home;
  const parts = wanted.split('/').filter((part) => part !== '' && part !== '.');
  let path = '';
  for (const part of parts) {
    const parent = await resolveIn(root, path === '' ? '/' : path);
    path = `${path}/${part}`;
    if (parent !== undefined && (await resolveIn(root, path)) === undefined) {
      await mkdir(join(parent, part));
      await chown(join(parent, part), place.workload.uid, place.workload.gid);
    }
  }
  return path === '' ? '/' : path;
}

type Pipes = {
  readonly stdin: Socket;
  readonly stdout: Socket;
  readonly stderr: Socket;
  /** The command's ends of the three, in the order of their descriptors. */
  readonly inner: readonly [number, number, number];
};

/** Three named pipes, each opened at both ends, then unlinked with their folder at the end of the exec. */
async function makePipes(folder: string): Promise<Pipes> {
  const [input, output, error] = ['stdin', 'stdout', 'stderr'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  const makeFifo = await loadMakeFifo();
  for (const path of [input, output, error]) makeFifo(path, 0o600);
  // Programs open /dev/stdout by its path, which takes the right to the pipe itself.
  await Promise.all(
    [input, output, error].map(async (path) => await chown(path, place.workload.uid, place.workload.gid)),
  );
  const { O_RDONLY, O_WRONLY, O_NONBLOCK } = constants;
  // A pipe's writer cannot be opened before its reader, and a reader without O_NONBLOCK waits for a writer.
  const placeholder = await openFd(input, O_RDONLY | O_NONBLOCK);
  const writer = await openFd(input, O_WRONLY | O_NONBLOCK);
  const innerInput = await openFd(input, O_RDONLY);
  await closeFd(placeholder);
  const outputs = await Promise.all([output, error].map(async (path) => await openFd(path, O_RDONLY | O_NONBLOCK)));
  const inner = await Promise.all([output, error].map(async (path) => await openFd(path, O_WRONLY)));
  return {
    stdin: new Socket({ fd: writer, readable: false, writable: true }),
    stdout: new Socket({ fd: outputs[0] as number, readable: true, writable: false }),
    stderr: new Socket({ fd: outputs[1] as number, readable: true, writable: false }),
    inner: [innerInput, inner[0] as number, inner[1] as number],
  };
}

/** Sends a signal to the command itself, which is the first child of the sandbox's process 1. */
async function killCommand(pid: number, signal: number): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const child = Number(readIfThere(`/proc/${pid}/task/${pid}/children`).split(' ')[0]);
    if (child > 0) {
      try {
        process.kill(child, signal);
      } catch {
        // It has just ended.
      }
      return;
    }
    if (readIfThere(`/proc/${pid}/stat`) === '') return;
    await sleep(10);
  }
}

/** Ends what the command left behind and takes its cgroup and pipes away. */
async function endExec(cgroup: string, folder: string): Promise<void> {
  await writeFile(join(cgroup, 'cgroup.kill'), '1').catch(() => undefined);
  for (let attempt = 0; attempt < 200; attempt += 1) {
    if (/^populated 0$/m.test(readIfThere(join(cgroup, 'cgroup.events')))) break;
    await sleep(5);
  }
  await rm(folder, { recursive: true, force: true });
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

async function collect(stream: Socket): Promise<string> {
  let text = '';
  for await (const piece of stream) text += String(piece);
  return text;
}
