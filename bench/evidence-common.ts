import { writeFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { file } from 'tmp-promise';
import { type Argv, run, start, TapwardenError } from '../base/index.ts';
import { readLogSwitch, setLogSwitch } from '../e2e/support/log-switch.ts';
import { makeScratchNamespace, type ScratchNamespace } from '../e2e/support/scratch-namespace.ts';

/** A sandbox's network as it is commonly laid out, for comparison. */
export type CommonLayout = {
  /** Runs a program in it as a user without rights, and returns what it printed. */
  readonly run: (argv: Argv) => Promise<string>;
  /** Packets that its rule refused since the last call, and the lines that its log rule wrote of them. */
  readonly counts: () => Promise<{ readonly refused: number; readonly logged: number }>;
};

const prefix = 'COMMON-LAYOUT ';

/** One log rule for all, with the limit that most rulesets copy, and a refusal by ICMP, whatever the protocol. */
const ruleset = `
table inet common {
  counter refused { }
  chain output {
    type filter hook output priority filter; policy drop;
    oifname "lo" accept
    limit rate 5/second burst 10 packets log prefix "${prefix}"
    counter name refused
    reject with icmpx type admin-prohibited
  }
}
`;

/** Makes the common layout in a namespace of its own for as long as `body` takes, and takes it away. */
export async function inCommonLayout<T>(body: (layout: CommonLayout) => Promise<T>): Promise<T> {
  const before = await readLogSwitch();
  const namespace = await makeScratchNamespace();
  try {
    await setLogSwitch('1');
    await setUp(namespace);
    const log = followKernelLog();
    try {
      return await body({ run: (argv) => runIn(namespace, argv), counts: () => countsSince(namespace, log) });
    } finally {
      await log.close();
    }
  } finally {
    await namespace.close();
    if (before !== undefined) await setLogSwitch(before);
  }
}

async function setUp({ run: inside }: ScratchNamespace): Promise<void> {
  await inside(['ip', 'link', 'add', 'out0', 'type', 'veth', 'peer', 'name', 'in0']);
  await inside(['ip', 'address', 'add', '10.200.0.2/30', 'dev', 'out0']);
  for (const link of ['out0', 'in0']) await inside(['ip', 'link', 'set', link, 'up']);
  await inside(['ip', 'route', 'add', 'default', 'via', '10.200.0.1', 'dev', 'out0']);
  const { path, cleanup } = await file({ mode: 0o600 });
  try {
    await writeFile(path, ruleset);
    await inside(['nft', '-f', path]);
  } finally {
    await cleanup();
  }
}

async function runIn({ run: inside }: ScratchNamespace, argv: Argv): Promise<string> {
  const nobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--no-new-privs'] as const;
  return (await inside([...nobody, ...argv], { timeoutMs: 120_000 })).stdout;
}

async function countsSince(namespace: ScratchNamespace, log: KernelLog): Promise<{ refused: number; logged: number }> {
  const { stdout } = await namespace.run(['nft', '-j', 'reset', 'counters']);
  const refused = /"packets": (\d+)/.exec(stdout)?.[1];
  if (refused === undefined) {
    throw new TapwardenError('BUG', { message: 'nft says nothing of the counter of the common layout' });
  }
  return { refused: Number(refused), logged: await log.count() };
}

type KernelLog = { readonly count: () => Promise<number>; readonly close: () => Promise<void> };

/** Counts the lines of the common layout's log rule from now on. */
function followKernelLog(): KernelLog {
  let count = 0;
  const marks = new Map<string, () => void>();
  const reader = start(['dmesg', '--follow-new', '--raw'], { stdio: ['ignore', 'pipe', 'ignore'] });
  createInterface({ input: reader.process.stdout as Readable }).on('line', (line) => {
    if (line.includes(prefix)) count += 1;
    for (const [mark, found] of marks) if (line.includes(mark)) found();
  });
  return {
    count: async () => {
      // What was logged before a line of our own has been read when that line is.
      const mark = `tapwarden-bench ${process.pid} ${performance.now()}`;
      await new Promise<void>((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error('The kernel log cannot be followed')), 10_000);
        marks.set(mark, () => {
          clearTimeout(timer);
          resolve();
        });
        run(['sh', '-c', 'echo "$0" >/dev/kmsg', mark]).catch(reject);
      });
      marks.delete(mark);
      const found = count;
      count = 0;
      return found;
    },
    close: async () => {
      reader.process.kill('SIGKILL');
      await reader.ended;
    },
  };
}
