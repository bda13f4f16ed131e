import { randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { type Child, start } from '../base/index.ts';
import { type TinyKind, tinyProgram } from '../e2e/support/tiny-program.ts';
import { type Attempt, judge, type Named, type Verdict } from './attribution-truth.ts';
import { type Carrier, programText, type Running, remainingLines, runInSandbox } from './sandbox.ts';

/** What became of the attempts of one run. */
export type Outcome = {
  readonly counts: Readonly<Record<Verdict, number>>;
  readonly attempts: number;
  /** How long each process lived, in milliseconds. */
  readonly livedMs: readonly number[];
  /** Milliseconds that the attempts took, those of two lanes at the same time. */
  readonly elapsedMs: number;
};

/** What to measure. */
export type RunOptions = {
  readonly carrier: Carrier;
  /** An even number. */
  readonly attempts: number;
  /** Whether the kernel's audit records may be used. */
  readonly audit: boolean;
  readonly folder: string;
  /** Takes a line on each event that is wrong. */
  readonly say: (line: string) => void;
};

const address = '198.51.100.20';
/** Ports of their own, so that no line is withheld for the sake of another. */
const firstPort = 10_000;
const lanes = 2;
const kinds: readonly TinyKind[] = ['connect', 'sendto', 'connect-nonblocking', 'write'];

/**
 * Runs `bench/programs/short-lived.pl` in a sandbox, and compares the events of its log with what it did.
 *
 * In a jail the host's kernel says which process each lane started, one after the other, and so which pid each attempt has
 * in the supervisor's eyes. Into a virtual machine nobody can look; see {@link judge} for what is known then.
 */
export async function measureRun({ carrier, attempts, audit, folder, say }: RunOptions): Promise<Outcome> {
  const mark = `tw-${randomBytes(4).toString('hex')}`;
  const programs = kinds.flatMap((kind) => {
    const { bytes, portAt } = tinyProgram({ bits: 64, kind, address, port: firstPort });
    return [kind, bytes.toString('hex'), portAt];
  });
  const words = [mark, firstPort, attempts, lanes, ...programs].map(String);
  const argv = ['perl', '-e', await programText('short-lived.pl'), '--', ...words] as const;
  const name = audit ? 'attribution' : 'attribution-without-audit';
  const running = runInSandbox(carrier, argv, folder, name, audit ? [] : ['--no-audit']);
  let forks: ForkWatch | undefined;
  try {
    const [limit = 0, ...inner] = await readBeginning(running);
    if (carrier === 'jail') forks = await watchForks(await findOuter(inner, mark));
    const begun = performance.now();
    running.tell('go');
    const lines = await remainingLines(running);
    const elapsedMs = performance.now() - begun;
    await running.end();
    const truths = truthOf(lines, mark, await forks?.end());
    if (truths.length !== attempts) throw new Error(`${truths.length} of ${attempts} processes were started`);
    const named = await readNamed(running.eventsFile);
    const counts = { exact: 0, partial: 0, exec: 0, missing: 0, wrong: 0 };
    for (const [index, verdict] of judge(truths, named, { lanes, limit }).entries()) {
      counts[verdict] += 1;
      if (verdict !== 'wrong') continue;
      const truth = truths[index];
      say(`wrong: ${JSON.stringify(truth)}: ${JSON.stringify(named.filter(({ port }) => port === truth?.port))}`);
    }
    return { counts, attempts, livedMs: truths.map(({ livedMs }) => livedMs), elapsedMs };
  } finally {
    for (const child of [running.child, ...(forks === undefined ? [] : [forks.child])]) {
      child.process.kill('SIGTERM');
      await child.ended;
    }
  }
}

/** The limit of pids, and the pids of the lanes as the workload sees them. */
async function readBeginning({ line }: Running): Promise<readonly number[]> {
  const found: number[] = [];
  while (found.length < 1 + lanes) {
    const text = await line();
    const [, number] = /^(?:limit|lane) (\d+)$/.exec(text ?? '') ?? [];
    if (number === undefined) throw new Error(`The program that makes the attempts said '${text ?? ''}'`);
    found.push(Number(number));
  }
  return found;
}

/** The pids on this host of processes of a jail, whose pids in it are known. Source: proc_pid_status(5), NSpid. */
async function findOuter(inner: readonly number[], mark: string): Promise<readonly number[]> {
  const found = new Map<number, number>();
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    if (!command.includes(mark)) continue;
    const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
    const pids = /^NSpid:\t(.*)$/m.exec(status)?.[1]?.split('\t') ?? [];
    if (pids.length > 1) found.set(Number(pids.at(-1)), Number(pid));
  }
  return inner.map((pid) => {
    const outer = found.get(pid);
    if (outer === undefined) throw new Error(`Process ${pid} of the jail is not found on the host`);
    return outer;
  });
}

/** The children of each lane, on the host, in the order in which they were started. */
type Forks = readonly { readonly parent: number; readonly children: readonly number[] }[];

type ForkWatch = { readonly child: Child; readonly end: () => Promise<Forks> };

/** Watches whom processes start, with `bench/programs/forks.py` and none of the product's code. */
async function watchForks(parents: readonly number[]): Promise<ForkWatch> {
  const child = start(['python3', '-c', await programText('forks.py'), ...parents.map(String)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const { stdin, stdout } = child.process;
  const lines = createInterface({ input: stdout as Readable })[Symbol.asyncIterator]();
  if ((await lines.next()).value !== 'watching') throw new Error('The kernel does not tell of processes');
  return {
    child,
    end: async () => {
      stdin?.end();
      const pairs: (readonly [number, number])[] = [];
      for (let next = await lines.next(); next.done !== true; next = await lines.next()) {
        const [parent = 0, started = 0] = next.value.split(' ').map(Number);
        pairs.push([parent, started]);
      }
      const { status } = await child.ended;
      if (status !== 0) throw new Error(`Who watches the processes ended with ${status}`);
      return parents.map((parent) => ({
        parent,
        children: pairs.filter(([one]) => one === parent).map(([, started]) => started),
      }));
    },
  };
}

function truthOf(lines: readonly string[], mark: string, forks: Forks | undefined): readonly Attempt[] {
  const counted = new Map<number, number>();
  const attempts = lines.map((line): Attempt => {
    const [, lane, pid, port, program = '', lived] = line.split(' ');
    const at = counted.get(Number(lane)) ?? 0;
    counted.set(Number(lane), at + 1);
    const fork = forks?.[Number(lane)];
    const outer = fork === undefined ? undefined : { parent: fork.parent, pid: fork.children[at] ?? 0 };
    const livedMs = Number(lived) / 1000;
    return {
      lane: Number(lane),
      innerPid: Number(pid),
      outer,
      port: Number(port),
      program,
      mark: `${mark}-${port}`,
      livedMs,
    };
  });
  for (const [lane, { children }] of forks?.entries() ?? []) {
    // One fork that was not seen would shift all after it.
    if (children.length !== counted.get(lane))
      throw new Error(`${children.length} processes of lane ${lane} were seen`);
  }
  return attempts;
}

/** What is read of an event. */
type Refused = {
  readonly metadata?: { readonly event_code?: string };
  readonly dst_endpoint?: { readonly ip?: string; readonly port?: number };
  readonly actor?: {
    readonly process?: {
      readonly pid?: number;
      readonly cmd_line?: string;
      readonly file?: { readonly path?: string };
      readonly parent_process?: { readonly pid?: number };
    };
  };
  readonly unmapped?: { readonly exec?: { readonly id?: string } };
};

async function readNamed(eventsFile: string): Promise<readonly Named[]> {
  const found: Named[] = [];
  for await (const line of createInterface({ input: createReadStream(eventsFile) })) {
    const { metadata, dst_endpoint, actor, unmapped } = JSON.parse(line) as Refused;
    if (metadata?.event_code !== 'egress-denied' || dst_endpoint?.ip !== address) continue;
    const process = actor?.process;
    found.push({
      port: dst_endpoint.port ?? 0,
      exec: unmapped?.exec?.id,
      pid: process?.pid,
      program: process?.file?.path,
      commandLine: process?.cmd_line,
      parent: process?.parent_process?.pid,
    });
  }
  return found;
}
