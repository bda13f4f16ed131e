import { createHash } from 'node:crypto';
import { closeSync, openSync } from 'node:fs';
import { readFile, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isTapwardenError, messageOf, type Run, TapwardenError } from '../../base/index.ts';
import { ensureEntry } from '../../init/index.ts';
import type { Machine } from '../machine.ts';
import type { Paths } from '../paths.ts';
import { qemuArguments, type VmmOptions } from '../vmm.ts';
import { takeSnapshot } from './take.ts';

/** Raised when what is kept of the same machine changes in a way that its command line does not show. */
const formatVersion = 1;

/** The state of a guest that has booted and waits for its first word. It is the same for all sandboxes of its kind. */
export type Snapshot = {
  /** QEMU's migration stream of the whole machine. Only root may read it. */
  readonly file: string;
};

/** A machine whose state may be kept. */
export type SnapshotMachine = Pick<VmmOptions, 'guest' | 'workload' | 'accelerator' | 'cpus' | 'memoryMiB' | 'tscKhz'>;

/** What {@link prepareSnapshot} works from. */
export type SnapshotOptions = {
  readonly paths: Paths;
  readonly machine: Machine & { readonly cpus: number; readonly memoryMiB: number };
  readonly run: Run;
  readonly onProgress: (line: string) => void;
  /** Why there is none, where one was wanted. @default it is told by `onProgress` */
  readonly onFailure?: (why: string) => void;
  /** Whether one that is not there is taken. @default true */
  readonly mayTake?: boolean;
  /** Ends it, and takes away what it made by then. */
  readonly signal?: AbortSignal;
};

/**
 * The snapshot from which guests of a machine can be restored. It is taken if there is none, for which a guest is booted once; of
 * several processes that want it one takes it, and the others wait. Three are kept, those that were used last.
 *
 * `undefined` where guests boot: with KVM, where nothing has to be translated; where there is none and none may be taken;
 * and where none can be, which is said. A boot that fails is not tried again until something of the machine changes.
 *
 * @throws the reason of `signal`, and nothing else: a guest can boot
 */
export async function prepareSnapshot(options: SnapshotOptions): Promise<Snapshot | undefined> {
  const { paths, machine, onProgress, mayTake = true, signal } = options;
  const { onFailure = (why) => onProgress(`no state of a guest is kept, so guests boot: ${why}`) } = options;
  if (machine.accelerator.accelerator !== 'tcg') return undefined;
  let taking: Promise<void> = Promise.resolve();
  const found = ensureEntry({
    store: join(paths.stateDir, 'images', 'snapshot'),
    hash: await hashOf(options),
    onProgress,
    isPrivate: true,
    mayBuild: mayTake,
    build: async (folder) => {
      taking = build(options, folder);
      await taking;
    },
  });
  try {
    const directory = await (signal === undefined ? found : Promise.race([found, aborted(signal)]));
    const why = await readFile(join(directory, failureName), 'utf8').catch(() => undefined);
    if (why === undefined) return { file: join(directory, stateName) };
    onFailure(`${why.trim()} (remove ${directory} to have it tried again)`);
    return undefined;
  } catch (error) {
    found.catch(() => undefined);
    // What it made is gone by then.
    await taking.catch(() => undefined);
    signal?.throwIfAborted();
    // Whatever it is, a guest can boot.
    if (mayTake || !isTapwardenError(error, 'IMAGE_NOT_FOUND')) onFailure(messageOf(error));
    return undefined;
  }
}

async function build({ paths, machine, run, onProgress, signal }: SnapshotOptions, folder: string): Promise<void> {
  onProgress('guest: booting one to keep its state, once …');
  const began = Date.now();
  const file = join(folder, stateName);
  const { accelerator } = machine.accelerator;
  try {
    await takeSnapshot({ paths, machine: { ...machine, accelerator }, run, file, ...(signal && { signal }) });
    onProgress(`guest: its state is kept, after ${((Date.now() - began) / 1000).toFixed(1)} s`);
  } catch (error) {
    signal?.throwIfAborted();
    // What else may fail is of the moment.
    if (!isTapwardenError(error, 'VMM_FAILED') && !isTapwardenError(error, 'VM_BOOT_TIMEOUT')) throw error;
    await rm(file, { force: true });
    await writeFile(join(folder, failureName), `${messageOf(error)}\n`);
  }
}

/**
 * Calls `body` with the open state, which whoever it starts may inherit.
 *
 * @throws VMM_FAILED when there is none any more
 */
export function withState<T>({ file }: Snapshot, body: (fd: number) => T): T {
  const fd = openState(file);
  try {
    return body(fd);
  } finally {
    closeSync(fd);
  }
}

function openState(file: string): number {
  try {
    return openSync(file, 'r');
  } catch (cause) {
    throw new TapwardenError('VMM_FAILED', { message: `The kept state cannot be read: ${messageOf(cause)}`, cause });
  }
}

/** Takes a snapshot away that does not come up. The next run takes another. */
export async function discardSnapshot({ file }: Snapshot): Promise<void> {
  await rm(dirname(file), { recursive: true, force: true });
}

const stateName = 'state';
const failureName = 'failure';

/**
 * All that the machine is made of, as its command line has it, and the contents behind the names in it. But for the rate of the
 * time-stamp counter: of some processors it is only known about, and a guest that is restored goes on with that of its boot.
 */
async function hashOf({ machine }: SnapshotOptions): Promise<string> {
  const { guest, workload, vmmVersion } = machine;
  const { accelerator } = machine.accelerator;
  const argv = qemuArguments({ ...machine, accelerator, tscKhz, channelSocket: '', consoleSocket: '', name: '' });
  const files = [guest.kernel, guest.initrd, guest.root, workload.path];
  const identities = await Promise.all(
    files.map(async (path) => {
      const { size, mtimeMs, ino } = await stat(path);
      return [size, mtimeMs, ino];
    }),
  );
  const processor = /^model name\s*: (.*)$/m.exec(await readFile('/proc/cpuinfo', 'utf8'))?.[1] ?? 'unknown';
  const inputs = [formatVersion, argv, identities, vmmVersion, processor];
  return createHash('sha256').update(JSON.stringify(inputs)).digest('hex').slice(0, 16);
}

/** Any that a kernel takes. */
const tscKhz = 1_000_000;

async function aborted(signal: AbortSignal): Promise<never> {
  return await new Promise((_, reject) => {
    const abort = (): void => reject(signal.reason);
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort, { once: true });
  });
}
