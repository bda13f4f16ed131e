import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { rm, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { dir } from 'tmp-promise';
import { type Argv, start, TapwardenError } from '../base/index.ts';
import { packageRoot } from '../cli/package-info.ts';
import { connectAllowed, deniedPacket, type EventContext, execLaunched } from '../ocsf/index.ts';
import type { PartMeasured } from './ocsf-part.ts';

/** One way to read a log that is measured. */
type Reading = { readonly name: string; readonly what: string; readonly args: readonly string[] };

const readings: readonly Reading[] = [
  { name: 'short', what: 'every event as a line', args: [] },
  { name: 'json', what: 'every event as JSON', args: ['--json'] },
  {
    name: 'filter',
    what: 'one event in 500, by severity and path',
    args: ['--severity', 'high', '--where', 'dst_endpoint.port=80'],
  },
  { name: 'count', what: 'events counted by address', args: ['--count-by', 'dst_endpoint.ip'] },
];

const mib = 1024 ** 2;
/** Left free on the disk beside the file. */
const reserveBytes = 512 * mib;
const sampleMs = 20;

/**
 * Writes a log of `bytes` into the temporary folder, has `tapwarden events` read it in several ways, each as a process of
 * its own, and removes the log. `read_rss_mib` is the most memory that any of them had, by the kernel's own mark.
 *
 * @throws DISK_FULL when there is not the room for it
 */
export async function measureRead(say: (line: string) => void, bytes: number = 2048 * mib): Promise<PartMeasured> {
  await checkSpace(tmpdir(), bytes);
  const { path: folder } = await dir({ prefix: 'tapwarden-bench-read-' });
  try {
    const file = join(folder, 'events.jsonl');
    const lines = writeLog(file, bytes);
    const taken = [];
    for (const reading of readings) {
      const one = await read(file, reading);
      say(`events, ${reading.what}: ${one.rssMib} MiB, ${Math.round(bytes / mib / one.seconds)} MiB/s`);
      taken.push({ ...reading, ...one, mibPerS: Math.round(bytes / mib / one.seconds) });
    }
    const size = `${Math.round(bytes / mib)} MiB, ${lines} events`;
    return {
      figures: {
        read_rss_mib: Math.max(...taken.map(({ rssMib }) => rssMib)),
        ...Object.fromEntries(taken.map(({ name, mibPerS }) => [`read_${name}_mib_per_s`, mibPerS])),
      },
      rows: taken.map(
        ({ what, rssMib, mibPerS, cpuS }) =>
          `| tapwarden events on ${size}: ${what} | ${mibPerS} MiB/s | ${rssMib} MiB of memory at most; ${cpuS} s of processor |`,
      ),
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function checkSpace(folder: string, bytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(folder);
  const free = bavail * bsize;
  if (free >= bytes + reserveBytes) return;
  throw new TapwardenError('DISK_FULL', {
    message: `${folder} has ${Math.round(free / mib)} MiB free; the log needs ${Math.round((bytes + reserveBytes) / mib)}`,
    hint: 'Make room, or name another folder with TMPDIR.',
  });
}

/** Fills a log to `bytes` at least, with a thousand different events over and over; returns how many there are. */
function writeLog(file: string, bytes: number): number {
  const events = Array.from({ length: 1000 }, (_, index) => `${JSON.stringify(eventNumber(index))}\n`);
  const batch = Buffer.from(events.join(''));
  const fd = openSync(file, 'wx', 0o600);
  try {
    let batches = 0;
    for (let size = 0; size < bytes; size += batch.length, batches += 1) {
      for (let at = 0; at < batch.length; ) at += writeSync(fd, batch, at);
    }
    return batches * events.length;
  } finally {
    closeSync(fd);
  }
}

const context: EventContext = {
  ...{ ocsfVersion: '1.8.0', productVersion: '0.1.0', logName: 'tapwarden-events', sandboxId: 'vm1', hostname: 'vm1' },
  ...{ runId: '0b0e0c1e-3c8e-4f7e-9a55-0d4b5a0d6f11', hypervisor: 'qemu', kernelRelease: '6.1.0-40-amd64' },
  policy: { uid: 'default', name: 'default', version: 'sha256:9f86d081884c7d65' },
};

/** A run's mixture: mostly refused packets, some requests, a few commands; one in 500 asks for the metadata service. */
function eventNumber(index: number): object {
  const time = 1_790_000_000_000 + index;
  const metadata = { uid: `01J8Z6Q8W7M0V5T3N2K1H0${index}`, sequence: index + 1, logged_time: time };
  const event = bodyNumber(index, time);
  return { ...event, metadata: { ...event.metadata, ...metadata } };
}

function bodyNumber(index: number, time: number) {
  if (index % 20 === 1) {
    const user = { uid: 1000, name: 'agent' };
    return execLaunched(context, {
      time,
      execId: `exec-${index}`,
      argv: ['python3', '-c', 'größer'],
      workdir: '/',
      user,
    });
  }
  const ip = index % 500 === 0 ? '169.254.169.254' : `203.0.113.${index % 256}`;
  if (index % 5 === 2) {
    const client = { ip: '10.0.128.2', port: 40_000 };
    const request = { time, host: 'example.com', port: 443, method: 'CONNECT', client, via: 'gateway' as const };
    return connectAllowed(context, { ...request, resolved: '203.0.113.80', decision: { rule: 'allow-example' } });
  }
  const port = index % 500 === 0 ? 80 : 4444;
  return deniedPacket(context, {
    ...{ time, originalTime: '1843.220114', protocol: 6, interfaceOut: 'eth0', length: 60, uid: 1000, gid: 1000 },
    ...{
      source: { ip: '10.200.0.2', port: 51_514 },
      destination: { ip, port },
      tcpFlags: 2,
      sequence: index,
      mark: 42,
    },
    rawLine: `tw-abc: IN= OUT=eth0 SRC=10.200.0.2 DST=${ip} LEN=60 PROTO=TCP SPT=51514 DPT=${port} SYN MARK=0x2a`,
    ...{ exec: { id: 'exec-1' }, rule: { name: 'reject-tcp', comment: 'fence' }, verdict: 'tcp-reset' },
  });
}

/** Runs the command as a person would, its output into a pipe, and watches the kernel's mark of its memory. */
async function read(file: string, { args }: Reading): Promise<{ rssMib: number; seconds: number; cpuS: number }> {
  const argv: Argv = [process.execPath, join(packageRoot, 'bin', 'tapwarden.js'), 'events', '--file', file, ...args];
  const begun = performance.now();
  const child = start(argv, { stdio: ['ignore', 'pipe', 'inherit'] });
  const { pid, stdout } = child.process;
  const seen = { kib: 0, ticks: 0 };
  const look = (): void => {
    if (pid !== undefined) watch(pid, seen);
  };
  const timer = setInterval(look, sampleMs);
  stdout?.on('data', () => undefined);
  // All that there was to print has been printed, and the process still stands.
  stdout?.on('end', look);
  const { status } = await child.ended;
  clearInterval(timer);
  const seconds = (performance.now() - begun) / 1000;
  if (status !== 0 || seen.kib === 0) throw new Error(`tapwarden events ended with status ${status}`);
  return { rssMib: Math.round(seen.kib / 1024), seconds, cpuS: Math.round(seen.ticks / 100) };
}

/** Source: proc(5), VmHWM of status; utime and stime of stat, in the 100 ticks a second that Linux always reports. */
function watch(pid: number, seen: { kib: number; ticks: number }): void {
  try {
    const [, kib] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
    seen.kib = Math.max(seen.kib, Number(kib ?? 0));
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
    seen.ticks = Math.max(seen.ticks, Number(fields[11] ?? 0) + Number(fields[12] ?? 0));
  } catch {
    // It has ended between two looks.
  }
}
