import { watch } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Carrier, programText, type Running, remainingLines, runInSandbox } from './sandbox.ts';
import { quantile, summarize } from './summary.ts';

/** How long events took, in milliseconds: from before the refused connect to when its line stood in the host's file. */
export type Latency = {
  readonly p50: number;
  readonly p99: number;
  readonly attempts: number;
  /** Attempts without an event of their own. */
  readonly missing: number;
  /** How far the comparison of the two clocks may be wrong. */
  readonly clockErrorMs: number;
};

const firstPort = 20_000;

/**
 * Measures how soon a refused packet is a line on the host's disk. The workload says when it began each attempt, by its
 * own clock; that of a virtual machine is compared with the host's before, by asking for it many times: the quickest
 * answer bounds the error.
 */
export async function measureLatency(carrier: Carrier, attempts: number, folder: string): Promise<Latency> {
  const pauseMs = carrier === 'vm' ? 50 : 20;
  const argv = ['python3', '-c', await programText('latency.py'), String(attempts), String(pauseMs)] as const;
  const running = runInSandbox(carrier, argv, folder, 'latency');
  const clock = await compareClocks(running);
  const arrivals = new Map<number, number>();
  const follower = await follow(running.eventsFile, (line, at) => {
    const port = /"dst_endpoint":\{"ip":"198\.51\.100\.\d+","port":(\d+)\}/.exec(line)?.[1];
    if (port !== undefined && !arrivals.has(Number(port))) arrivals.set(Number(port), at);
  });
  running.tell('go');
  const begun = await remainingLines(running);
  await running.end();
  await follower.close();
  const taken = begun.flatMap((line) => {
    const [port = 0, at = 0] = line.split(' ').map(Number);
    const arrived = arrivals.get(port);
    return arrived === undefined || port < firstPort ? [] : [arrived - (at - clock.offsetMs)];
  });
  if (taken.length === 0) throw new Error(`No attempt in a ${carrier} became an event of its own`);
  return {
    p50: summarize(taken).median,
    p99: quantile(taken, 0.99),
    attempts,
    missing: attempts - taken.length,
    clockErrorMs: clock.errorMs,
  };
}

/** The workload's clock less the host's, in milliseconds. */
async function compareClocks({
  tell,
  line,
}: Running): Promise<{ readonly offsetMs: number; readonly errorMs: number }> {
  let best = { offsetMs: 0, errorMs: Infinity };
  for (let round = 0; round < 50; round += 1) {
    const asked = now();
    tell('clock');
    const answer = await line();
    const answered = now();
    if (answer === undefined) throw new Error('The program that measures the latency did not start');
    const errorMs = (answered - asked) / 2;
    if (errorMs < best.errorMs) best = { offsetMs: Number(answer) - (asked + answered) / 2, errorMs };
    await sleep(5);
  }
  return best;
}

/** Reads what is appended to a file as soon as the kernel tells of it. */
async function follow(
  path: string,
  onLine: (line: string, at: number) => void,
): Promise<{ readonly close: () => Promise<void> }> {
  const file = await open(path, 'r');
  const reader = { rest: '', reading: Promise.resolve() };
  const read = (): void => {
    reader.reading = reader.reading.then(async () => {
      reader.rest = await readLines(file, reader.rest, onLine);
    });
  };
  const watcher = watch(path, read);
  read();
  return {
    close: async () => {
      watcher.close();
      await reader.reading;
      await readLines(file, reader.rest, onLine);
      await file.close();
    },
  };
}

async function readLines(file: FileHandle, rest: string, onLine: (line: string, at: number) => void): Promise<string> {
  let text = rest;
  for (;;) {
    const { bytesRead, buffer } = await file.read({ buffer: Buffer.alloc(65_536) });
    if (bytesRead === 0) return text;
    const at = now();
    const lines = (text + buffer.toString('latin1', 0, bytesRead)).split('\n');
    text = lines.pop() ?? '';
    for (const line of lines) onLine(line, at);
  }
}

const now = (): number => performance.timeOrigin + performance.now();
