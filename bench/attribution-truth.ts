/** What one process did, and who it was. */
export type Attempt = {
  /** Processes of a lane are started one after the other; lanes run at the same time. */
  readonly lane: number;
  /** The pid that the workload sees. */
  readonly innerPid: number;
  /** The pid that the supervisor sees, and its parent's; `undefined` where nobody could look on. */
  readonly outer: { readonly pid: number; readonly parent: number } | undefined;
  readonly port: number;
  /** Path of the executable. */
  readonly program: string;
  /** A word that no other process has among its arguments. */
  readonly mark: string;
  readonly livedMs: number;
};

/** What an event says of the sender of a refused packet. */
export type Named = {
  readonly port: number;
  readonly exec: string | undefined;
  readonly pid: number | undefined;
  readonly program: string | undefined;
  readonly commandLine: string | undefined;
  readonly parent: number | undefined;
};

/** How the pids of a sandbox are given out. */
export type Pids = {
  readonly lanes: number;
  /** Pids are below this, and begin anew there. */
  readonly limit: number;
};

/**
 * What became of an attempt: `exact` has the right pid, program and arguments; `partial` the right pid, and no program or
 * no arguments; `exec` names the exec alone; `missing` has no event; all else is `wrong`.
 */
export type Verdict = 'exact' | 'partial' | 'exec' | 'missing' | 'wrong';

/** The exec of all attempts. */
const exec = '1';

/**
 * Compares events with what happened. `attempts` are in the order of their lanes, those of a lane in the order in which
 * they were started.
 *
 * Where the pid that the supervisor sees is known, it must be the one of the event. Elsewhere it follows from how a kernel
 * gives pids out: a process gets the next one of each namespace, so along a lane the pid of the event must rise at least as
 * the workload's own does, less those whom the other lanes started in between. A pid that two attempts have is wrong, and so
 * is a parent who is not the lane's.
 */
export function judge(attempts: readonly Attempt[], events: readonly Named[], pids: Pids): readonly Verdict[] {
  const byPort = new Map<number, Named[]>();
  for (const event of events) byPort.set(event.port, [...(byPort.get(event.port) ?? []), event]);
  const taken = new Set<number>();
  const lanes = new Map<number, { parent?: number; inner?: number; pid?: number }>();
  return attempts.map((attempt) => {
    const [event, second] = byPort.get(attempt.port) ?? [];
    if (event === undefined) return 'missing';
    if (second !== undefined || event.exec !== exec) return 'wrong';
    const { pid, program, commandLine } = event;
    if (pid === undefined) return 'exec';
    const lane = lanes.get(attempt.lane) ?? {};
    lanes.set(attempt.lane, lane);
    const parent = attempt.outer?.parent ?? lane.parent;
    const isRightPid =
      attempt.outer === undefined
        ? !taken.has(pid) && rises(lane, { inner: attempt.innerPid, pid }, pids)
        : pid === attempt.outer.pid;
    if (!isRightPid || (parent !== undefined && event.parent !== undefined && event.parent !== parent)) return 'wrong';
    taken.add(pid);
    if (event.parent !== undefined) lane.parent = event.parent;
    lane.inner = attempt.innerPid;
    lane.pid = pid;
    if (program !== undefined && program !== attempt.program) return 'wrong';
    if (commandLine !== undefined && !hasOnly(commandLine, attempt.mark)) return 'wrong';
    return program === undefined || commandLine === undefined ? 'partial' : 'exact';
  });
}

function rises(
  before: { readonly inner?: number; readonly pid?: number },
  now: { readonly inner: number; readonly pid: number },
  { lanes, limit }: Pids,
): boolean {
  if (before.inner === undefined || before.pid === undefined) return true;
  const started = (now.inner - before.inner + limit) % limit;
  const rise = (now.pid - before.pid + limit) % limit;
  // Half of all pids up is rather so many down.
  return rise >= Math.max(1, started - (lanes - 1)) && rise < limit / 2;
}

/** Whether the marks of a command line are this one. A mark is as in `tw-0a1b2c3d-10042`. */
function hasOnly(commandLine: string, mark: string): boolean {
  const found = commandLine.match(/tw-[0-9a-f]{8}-\d+/g) ?? [];
  return found.length > 0 && found.every((one) => one === mark);
}
