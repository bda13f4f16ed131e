import { once } from 'node:events';
import { closeSync, readdirSync, readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { release, uptime } from 'node:os';
import { messageOf } from '../base/index.ts';
import { Connection, channelVersion } from '../channel/index.ts';
import { channelPortName } from '../init/contract.ts';
import { place } from './place.ts';
import { openPort } from './port-stream.ts';
import { Session } from './session.ts';

/**
 * The guest's program: opens the channel, says hello, and does what the host asks until the host is gone. When it ends,
 * init powers the guest off; so does an error that nobody expected, after it was said on the console. In a jail the same
 * program runs on the host, in a mount namespace of its own and with the slot as its network.
 */
async function main(): Promise<void> {
  if (place.jail !== undefined) closeInherited();
  const bootMs = Math.round((place.jail === undefined ? uptime() : process.uptime()) * 1000);
  const stream = place.jail === undefined ? await openPort(channelPortName) : await connectTo(place.jail.channel);
  await new Promise<void>((resolve) => {
    const connection: Connection = new Connection(stream, {
      onMessage: (payload) => session.onMessage(payload),
      onData: (exec, number, payload) => session.onData(exec, number, payload),
      onClose: () => resolve(),
    });
    const session = new Session(connection);
    void connection.send({ kind: 'hello', version: channelVersion, kernelRelease: release(), bootMs });
  });
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

/** Before anything is set up, since the socket is in a folder that the jail then hides from itself. */
async function connectTo(path: string): Promise<Socket> {
  const socket = connect(path);
  await once(socket, 'connect');
  return socket;
}

main()
  .catch((error: unknown) => process.stderr.write(`tapwarden-supervisor: ${messageOf(error)}\n`))
  // A read that waits for the host holds process.exit up for good; init only needs to see that this process has ended.
  .finally(() => process.kill(process.pid, 'SIGKILL'));
