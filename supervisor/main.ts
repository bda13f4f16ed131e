import { once } from 'node:events';
import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { release, uptime } from 'node:os';
import { basename, dirname } from 'node:path';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf, run, TapwardenError } from '../base/index.ts';
import { Connection } from '../channel/index.ts';
import { channelPortName } from '../init/contract.ts';
import type { JailPlan } from '../init/jail-plan.ts';
import { withSameAddresses } from './address-randomisation.ts';
import { reseedKernel } from './kernel-random.ts';
import { optimizer } from './optimizer.ts';
import { place } from './place.ts';
import { openPort } from './port-stream.ts';
import { Session, type SessionStart } from './session.ts';
import { prepareWorkload } from './workload-namespace.ts';

/**
 * The guest's program: opens the channel, and does what the host asks until the host is gone. When it ends,
 * init powers the guest off; so does an error that nobody expected, after it was said on the console. In a jail the same
 * program runs on the host, in a mount namespace of its own and with the slot as its network.
 */
async function main(): Promise<void> {
  const { stream, ...start } = place.jail === undefined ? await startInGuest() : await startInJail(place.jail);
  await new Promise<void>((resolve) => {
    // A guest's kernel ends with it, a jail's host does not.
    const end = (): void => void (place.jail === undefined ? Promise.resolve() : session.close()).finally(resolve);
    const connection: Connection = new Connection(stream, {
      onMessage: (payload) => session.onMessage(payload),
      onData: (exec, number, payload) => session.onData(exec, number, payload),
      onClose: end,
    });
    const session = new Session(connection, { ...start, kernelRelease: release() });
    if (place.jail !== undefined) process.once('SIGTERM', end);
  });
}

/** How the supervisor begins: its channel, and what there is before a word of the host. */
type Beginning = { readonly stream: Duplex } & Omit<SessionStart, 'kernelRelease'>;

async function startInGuest(): Promise<Beginning> {
  // Until a command has run for a while: see Session. Not earlier, as V8 takes no code that was made with other flags.
  optimizer.rest();
  // Before the channel opens all is done that needs no word of the host: a guest whose state is kept does it once for all of them.
  const prepared = withSameAddresses(async () => await prepareWorkload(run));
  await Promise.allSettled([prepared, loadAhead()]);
  const bootMs = Math.round(uptime() * 1000);
  return { stream: await openPort(channelPortName), prepared, bootMs, reseed: reseedKernel };
}

/** What every run loads sooner or later. */
async function loadAhead(): Promise<void> {
  await import('./attribution/attribution.ts');
  await import('./compiled-fence.ts');
  await import('./fence-watch.ts');
}

/** In a jail the workload's environment needs no word of the host, so it is made while the channel process starts. */
async function startInJail(plan: JailPlan): Promise<Beginning> {
  closeInherited();
  const folder = openSync(dirname(plan.channel), 'r');
  const prepared = prepareWorkload(run);
  // Who awaits it comes later.
  prepared.catch(() => undefined);
  const bootMs = Math.round(process.uptime() * 1000);
  // By its folder: what is prepared hides it from this process.
  const stream = await connectTo(`/proc/self/fd/${folder}/${basename(plan.channel)}`);
  closeSync(folder);
  // Its random numbers are the host's.
  return { stream, prepared, bootMs, reseed: async () => undefined };
}

/**
 * Closes what whoever started tapwarden had open and left to its children: an open folder of the host is a way out of every
 * mount namespace. Node's own descriptors are closed on execution, and by that told apart. Source: proc_pid_fdinfo(5).
 */
function closeInherited(): void {
  for (const name of readdirSync('/proc/self/fd')) {
    const fd = Number(name);
    if (fd > 2 && (flagsOf(fd) & closeOnExec) === 0) closeSync(fd);
  }
}

const closeOnExec = 0o2000000;

/** The flags of a descriptor; of one that is closed already, as the folder's own is by now, as if it were Node's. */
function flagsOf(fd: number): number {
  try {
    return Number.parseInt(/^flags:\t(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1] ?? '0', 8);
  } catch {
    return closeOnExec;
  }
}

/** Connects to a unix socket, on which its owner may not listen yet. */
async function connectTo(path: string): Promise<Socket> {
  for (let attempt = 1; ; attempt += 1) {
    const socket = connect(path);
    try {
      await once(socket, 'connect');
      return socket;
    } catch (cause) {
      if (attempt === connectAttempts) {
        throw new TapwardenError('CHANNEL_CLOSED', {
          message: `The channel does not open: ${messageOf(cause)}`,
          cause,
        });
      }
      await sleep(5);
    }
  }
}

const connectAttempts = 2000;

main()
  .catch((error: unknown) => process.stderr.write(`tapwarden-supervisor: ${messageOf(error)}\n`))
  // A read that waits for the host holds process.exit up for good; init only needs to see that this process has ended.
  .finally(() => process.kill(process.pid, 'SIGKILL'));
