import { createHash } from 'node:crypto';
import { mkdir, open, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { release } from 'node:os';
import { join } from 'node:path';
import { isTapwardenError, messageOf, type Run, run as runProgram, start, TapwardenError } from '../base/index.ts';
import { consoleLines, type GuestImage, kernelCommandLine } from '../init/index.ts';
import { type Accelerator, confined } from './vmm.ts';

/** What the probe found, and why. */
export type AcceleratorChoice = {
  readonly accelerator: Accelerator;
  /** For a person: `'a guest booted under KVM in 310 ms'`. */
  readonly reason: string;
};

/** What the probe works from. */
export type AcceleratorOptions = {
  readonly stateDir: string;
  readonly guest: Pick<GuestImage, 'kernel' | 'initrd'>;
  readonly tscKhz: number;
  /** What QEMU says of itself, where that was asked already: to start it takes as long as all else here. */
  readonly vmmVersion?: string;
  readonly run?: Run;
  readonly onProgress?: (line: string) => void;
};

const probeTimeoutMs = 8000;

/** Below the uids of sandboxes. */
const probeUser = { uid: 1_899_999_999, gid: 1_899_999_999 } as const;

/**
 * Says how guests are run on this machine: under KVM where a guest really comes up on it, else emulated.
 *
 * That /dev/kvm exists and answers proves nothing: on some machines a stock kernel prints not one line on it. So the
 * guest's own kernel is booted once, with a time limit. The answer is kept for this host kernel, processor, QEMU and guest kernel.
 */
export async function chooseAccelerator(options: AcceleratorOptions): Promise<AcceleratorChoice> {
  const kvm = await stat('/dev/kvm').catch(() => undefined);
  if (kvm?.isCharacterDevice() !== true) return { accelerator: 'tcg', reason: 'the host has no /dev/kvm' };
  const key = await cacheKey(options);
  const file = join(options.stateDir, 'accelerator.json');
  const cached = await readCache(file, key);
  if (cached !== undefined) return cached;
  options.onProgress?.('looking whether KVM works: booting a guest on it, once');
  const choice = await probe(options);
  await mkdir(options.stateDir, { recursive: true });
  const fresh = `${file}.${process.pid}`;
  await writeFile(fresh, JSON.stringify({ key, ...choice }));
  await rename(fresh, file);
  return choice;
}

async function probe({ guest, tscKhz }: AcceleratorOptions): Promise<AcceleratorChoice> {
  const begun = Date.now();
  const child = start(
    [
      'unshare',
      '--mount',
      '--net',
      ...confined(
        probeUser,
        ['kvm'],
        [
          'qemu-system-x86_64',
          ...['-accel', 'kvm', '-M', 'microvm', '-cpu', 'host', '-m', '256', '-nodefaults', '-no-user-config'],
          ...['-no-reboot', '-display', 'none', '-serial', 'stdio', '-kernel', guest.kernel, '-initrd', guest.initrd],
          '-append',
          kernelCommandLine({ accelerator: 'kvm', tscKhz, verbose: false, probe: true }),
        ],
      ),
    ],
    { stdio: ['ignore', 'pipe', 'pipe'], detached: true },
  );
  let printed = '';
  let complaint = '';
  const answered = new Promise<boolean>((resolve) => {
    child.process.stdout?.on('data', (piece: Buffer) => {
      printed = (printed + piece.toString('latin1')).slice(-65_536);
      if (printed.includes(consoleLines.probeOk)) resolve(true);
    });
    child.process.stderr?.on('data', (piece: Buffer) => {
      complaint = (complaint + piece.toString('latin1')).slice(-500);
    });
    void child.ended.then(() => setTimeout(() => resolve(printed.includes(consoleLines.probeOk)), 50));
    setTimeout(() => resolve(false), probeTimeoutMs).unref();
  });
  const ok = await answered;
  const ms = Date.now() - begun;
  child.process.kill('SIGKILL');
  await child.ended;
  if (ok) return { accelerator: 'kvm', reason: `a guest booted under KVM in ${ms} ms` };
  const why = complaint.split('\n')[0]?.trim() ?? '';
  return {
    accelerator: 'tcg',
    reason: `/dev/kvm is there, but no guest came up on it within ${ms} ms${why === '' ? '' : ` (${why})`}`,
  };
}

/**
 * The first line of what QEMU says of its version: `'QEMU emulator version 7.2.22 (Debian …)'`.
 *
 * @throws VMM_MISSING when it is not installed
 * @throws VMM_FAILED when it cannot even say its version
 */
export async function readVmmVersion(run: Run): Promise<string> {
  try {
    return (await run(['qemu-system-x86_64', '--version'])).stdout.split('\n')[0] ?? '';
  } catch (cause) {
    if (isTapwardenError(cause, 'PROGRAM_MISSING')) {
      throw new TapwardenError('VMM_MISSING', {
        message: 'QEMU is not installed: there is no qemu-system-x86_64',
        hint: 'Install the package qemu-system-x86.',
        cause,
      });
    }
    throw new TapwardenError('VMM_FAILED', { message: `QEMU does not run: ${messageOf(cause)}`, cause });
  }
}

async function cacheKey({ guest, vmmVersion, run = runProgram }: AcceleratorOptions): Promise<string> {
  const model = /^model name\s*: (.*)$/m.exec(await readFile('/proc/cpuinfo', 'utf8'))?.[1] ?? 'unknown';
  const version = vmmVersion ?? (await readVmmVersion(run));
  const kernel = await kernelIdentity(guest.kernel);
  return createHash('sha256').update([kernel, release(), model, version].join('\0')).digest('hex');
}

/** Tells a kernel from others by its size and first MiB: reading all of it would cost each run a tenth of a second. */
async function kernelIdentity(path: string): Promise<string> {
  const file = await open(path, 'r');
  try {
    const start = Buffer.alloc(1 << 20);
    const [{ size }, { bytesRead }] = await Promise.all([file.stat(), file.read(start, 0, start.length, 0)]);
    return `${size} ${createHash('sha256').update(start.subarray(0, bytesRead)).digest('hex')}`;
  } finally {
    await file.close();
  }
}

async function readCache(file: string, key: string): Promise<AcceleratorChoice | undefined> {
  try {
    const cached = JSON.parse(await readFile(file, 'utf8')) as {
      key?: unknown;
      accelerator?: unknown;
      reason?: unknown;
    };
    if (cached.key !== key || typeof cached.reason !== 'string') return undefined;
    if (cached.accelerator !== 'kvm' && cached.accelerator !== 'tcg') return undefined;
    return { accelerator: cached.accelerator, reason: cached.reason };
  } catch {
    return undefined;
  }
}
