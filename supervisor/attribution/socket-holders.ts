import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { isIPv4 } from 'node:net';
import { inNetworkNamespace } from '../../base/index.ts';
import type { DeniedPacketFact } from '../../channel/index.ts';
import type { SocketHolders } from './origin.ts';
import { readImage, readUid } from './proc-files.ts';
import { parseSocketTable, socketTables } from './proc-net.ts';
import { type ListedSocket, SocketDiag } from './socket-diag.ts';

/** Look-ups that may wait at a time; each reads the descriptors of all processes. */
const maxWaiting = 16;

type Packet = Pick<DeniedPacketFact, 'protocol' | 'source' | 'sourcePort' | 'destination' | 'destinationPort' | 'uid'>;

/**
 * Finds the processes that hold the socket of a refused packet, as long as it is open: its inode by the whole tuple, by
 * socket diagnostics or the tables in /proc, then the descriptors of all processes.
 *
 * A TCP connection that was refused is listed no longer, whether its socket is open or not, unless its program bound the
 * port. So this is for datagrams of programs that live on.
 */
export class SocketFinder {
  readonly #namespace: string;
  #diag: Promise<SocketDiag | undefined> | undefined;
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  /** `namespace` is a path of the workload's network namespace. Nothing is opened before the first look-up. */
  constructor(namespace: string) {
    this.#namespace = namespace;
  }

  /** `undefined` where the socket is gone, or there is too much to look for. Never rejects. */
  async find(packet: Packet): Promise<SocketHolders | undefined> {
    if (this.#waiting >= maxWaiting) return undefined;
    this.#waiting += 1;
    const found = this.#last.then(async () => await this.#find(packet)).catch(() => undefined);
    this.#last = found.then(() => {
      this.#waiting -= 1;
    });
    return await found;
  }

  async close(): Promise<void> {
    await this.#last;
    (await this.#diag)?.close();
  }

  async #find(packet: Packet): Promise<SocketHolders | undefined> {
    const listed = await this.#listByDiag(packet);
    const method = listed === undefined ? 'proc' : 'socket';
    const sockets = (listed ?? (await this.#listByProc(packet))).filter((socket) => canBeOf(socket, packet));
    const inodes = new Set(sockets.map(({ inode }) => inode).filter((inode) => inode !== 0));
    const pids = inodes.size === 0 ? [] : holdersOf(inodes);
    return pids.length === 0
      ? undefined
      : { method, holders: pids.map((pid) => ({ pid, uid: readUid(pid), image: readImage(pid) })) };
  }

  async #listByDiag({ protocol, source, sourcePort }: Packet): Promise<readonly ListedSocket[] | undefined> {
    if (sourcePort === null) return undefined;
    this.#diag ??= inNetworkNamespace(this.#namespace, () => new SocketDiag()).catch(() => undefined);
    const diag = await this.#diag;
    const found: ListedSocket[] = [];
    for (const family of familiesFor(source)) {
      const sockets = await diag?.list({ family, protocol, localPort: sourcePort });
      if (sockets === undefined) return undefined;
      found.push(...sockets);
    }
    return found;
  }

  async #listByProc({ protocol, source }: Packet): Promise<readonly ListedSocket[]> {
    const tables = socketTables.get(protocol);
    if (tables === undefined) return [];
    return await inNetworkNamespace(this.#namespace, () =>
      familiesFor(source).flatMap((family) => parseSocketTable(readIfThere(`/proc/thread-self/net/${tables[family]}`))),
    );
  }
}

/** A socket of IPv6 may send by IPv4. */
function familiesFor(source: string): readonly (4 | 6)[] {
  return isIPv4(source) ? [4, 6] : [6];
}

/** Whether a socket can have sent a packet: what of its tuple is set must be the packet's. */
export function canBeOf(socket: ListedSocket, packet: Packet): boolean {
  const isUnset = (address: string): boolean => address === '0.0.0.0' || address === '::';
  if (!isUnset(socket.localAddress) && socket.localAddress !== packet.source) return false;
  if (!isUnset(socket.remoteAddress) && socket.remoteAddress !== packet.destination) return false;
  // An echo has no ports. Its socket's number is the echo's, of which the log's line does not tell us.
  if (packet.sourcePort === null) return packet.uid === null || socket.uid === packet.uid;
  if (socket.localPort !== packet.sourcePort) return false;
  return socket.remotePort === 0 || socket.remotePort === packet.destinationPort;
}

/** The processes that have a descriptor of one of these sockets. */
function holdersOf(inodes: ReadonlySet<number>): readonly number[] {
  const wanted = new Set([...inodes].map((inode) => `socket:[${inode}]`));
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => descriptorsOf(pid).some((target) => wanted.has(target)))
    .map(Number);
}

function descriptorsOf(pid: string): readonly string[] {
  const folder = `/proc/${pid}/fd`;
  try {
    return readdirSync(folder).map((fd) => readLinkIfThere(`${folder}/${fd}`));
  } catch {
    // The process has ended.
    return [];
  }
}

function readLinkIfThere(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
