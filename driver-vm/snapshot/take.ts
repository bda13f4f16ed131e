import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { chmod, chown, mkdir } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { isTapwardenError, type Run, TapwardenError, UndoStack } from '../../base/index.ts';
import type { Paths } from '../paths.ts';
import { endProcessesOf } from '../processes.ts';
import { claimSandbox, releaseSandbox, sandboxFolder, usersOf } from '../sandbox-record.ts';
import { makeSlot } from '../slot.ts';
import { channelPortId, startVmm } from '../vmm.ts';
import { Qmp } from './qmp.ts';
import type { SnapshotMachine } from './snapshot.ts';

/** What {@link takeSnapshot} works from. */
export type TakeOptions = {
  readonly paths: Paths;
  readonly machine: SnapshotMachine;
  readonly run: Run;
  /** Where the state goes; only root may read it. */
  readonly file: string;
  /** Ends it, and takes away what it made. */
  readonly signal?: AbortSignal;
};

/** Under emulation, with more guests than cores, a boot takes several times its usual three seconds. */
const limitMs = 60_000;

/** After the guest has opened its end of the channel, until it does nothing but wait. */
const restMs = 500;

/**
 * Boots a guest in a slot of its own, waits until its supervisor listens, writes the machine's state to a file and ends it. No
 * word was said to that guest, and no workload was ever in it. A boot that hangs is tried once more.
 *
 * @throws VM_BOOT_TIMEOUT, VMM_FAILED, SLOT_FAILED and others; the reason of `signal`
 */
export async function takeSnapshot(options: TakeOptions): Promise<void> {
  try {
    await takeOnce(options);
  } catch (error) {
    if (!isTapwardenError(error, 'VM_BOOT_TIMEOUT')) throw error;
    await takeOnce(options);
  }
}

async function takeOnce(options: TakeOptions): Promise<void> {
  const { paths, run } = options;
  const id = `snapshot-${process.pid}`;
  const undo = new UndoStack();
  const record = await claimSandbox(paths, id);
  try {
    const users = usersOf(record.index);
    undo.push('end the processes of the sandbox', async () => await endProcessesOf(users));
    const folder = sandboxFolder(paths, id);
    const slot = await makeSlot(run, { id, vmmUid: users.vmm, direct: [], folder }, undo);
    const sockets = join(folder, 'sockets');
    await mkdir(sockets, { mode: 0o750 });
    await chown(sockets, 0, users.vmm);
    await boot({ ...options, id, sockets, enter: slot.enter, uid: users.vmm }, undo);
  } finally {
    await undo.unwind();
    await releaseSandbox(paths, id);
  }
}

type BootOptions = TakeOptions & {
  readonly id: string;
  readonly sockets: string;
  readonly enter: readonly string[];
  readonly uid: number;
};

async function boot(options: BootOptions, undo: UndoStack): Promise<void> {
  const { machine, id, sockets, enter, uid, file, signal } = options;
  const listen = async (name: string): Promise<Listening> => await listenFor(join(sockets, name), uid, undo);
  const channel = await listen('channel');
  const console = await listen('console');
  const control = await listen('control');
  const state = await listen('state');
  // The guest's words are read by nobody.
  void console.connected.then((socket) => socket.resume());
  const child = startVmm(
    enter,
    { uid, gid: uid },
    {
      ...machine,
      channelSocket: channel.path,
      consoleSocket: console.path,
      controlSocket: control.path,
      name: id,
    },
  );
  undo.push('end the virtual machine', async () => {
    child.process.kill('SIGKILL');
    await child.ended;
  });
  let said = '';
  child.process.stderr?.on('data', (piece: Buffer) => {
    said = (said + piece.toString('utf8')).slice(-2000);
  });
  const ended = child.ended.then(({ status, signal: by }): never => {
    throw new TapwardenError('VMM_FAILED', {
      message: `The virtual machine ended with ${by ?? `status ${String(status)}`}: ${said.trim()}`,
      details: { status, signal: by },
    });
  });
  ended.catch(() => undefined);
  const work = async (): Promise<void> => {
    const qmp = await Qmp.open(await control.connected);
    await qmp.event(
      (name, data) => name === 'VSERPORT_CHANGE' && data['id'] === channelPortId && data['open'] === true,
    );
    await sleep(restMs);
    await qmp.command('migrate-set-parameters', { 'max-bandwidth': 10_000_000_000 });
    const written = state.connected.then(
      async (socket) => await pipeline(socket, createWriteStream(file, { mode: 0o600 })),
    );
    // It is awaited when QEMU has begun.
    written.catch(() => undefined);
    await qmp.command('migrate', { uri: `unix:${state.path}` });
    await written;
    const { status } = (await qmp.command('query-migrate')) as { readonly status?: unknown };
    if (status !== 'completed') {
      throw new TapwardenError('VMM_FAILED', { message: `QEMU did not write the machine's state: ${String(status)}` });
    }
  };
  await Promise.race([work(), ended, tooLate(signal)]);
}

/** Rejects when the guest should have been ready, or when nobody wants it any more. */
async function tooLate(signal: AbortSignal | undefined): Promise<never> {
  await sleep(limitMs, undefined, { ref: false, ...(signal && { signal }) }).catch(() => signal?.throwIfAborted());
  throw new TapwardenError('VM_BOOT_TIMEOUT', {
    message: `The guest was not ready within ${limitMs / 1000} s of its boot`,
  });
}

/** A socket on which one connection is awaited. */
type Listening = { readonly path: string; readonly connected: Promise<Socket> };

async function listenFor(path: string, gid: number, undo: UndoStack): Promise<Listening> {
  const server: Server = createServer();
  const connected = once(server, 'connection').then(([socket]) => {
    const found = socket as Socket;
    undo.push(`close ${path}`, () => void found.destroy());
    // Else what is written to it holds its writer.
    found.on('error', () => found.destroy());
    return found;
  });
  connected.catch(() => undefined);
  server.listen(path);
  await once(server, 'listening');
  undo.push(`stop listening on ${path}`, () => void server.close());
  await chown(path, 0, gid);
  await chmod(path, 0o660);
  return { path, connected };
}
