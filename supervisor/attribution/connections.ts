import type { SocketAddress } from './audit-record.ts';

/** That a process connected a socket. */
export type SocketConnection = {
  readonly pid: number;
  /** Records are in the order of their numbers. */
  readonly serial: number;
  /** Milliseconds of CLOCK_MONOTONIC, which may be some too early. */
  readonly atMs: number;
  readonly destination: SocketAddress;
};

/** A part of a process's life, in milliseconds of CLOCK_MONOTONIC. */
export type Life = { readonly pid: number; readonly startMs: number; readonly endMs: number };

const maxProcesses = 16_384;
/** Of one process. */
const maxEach = 256;

/** Where processes have connected sockets to, by the kernel's records of it. Bounded: the oldest are forgotten first. */
export class Connections {
  readonly #byPid = new Map<number, SocketConnection[]>();
  /** Some from before that moment are forgotten. */
  #wholeSinceMs = Number.NEGATIVE_INFINITY;

  add(connection: SocketConnection): void {
    const { pid } = connection;
    const list = this.#byPid.get(pid) ?? [];
    // The list that was added to last stands last.
    this.#byPid.delete(pid);
    this.#byPid.set(pid, list);
    list.push(connection);
    if (list.length > maxEach) this.#forgotten(list.splice(0, 1));
    for (const [oldest, connections] of this.#byPid) {
      if (this.#byPid.size <= maxProcesses) break;
      this.#byPid.delete(oldest);
      this.#forgotten(connections);
    }
  }

  /**
   * Where those who lived so connected to, before the record of that number; `undefined` where that is not known whole, or
   * nowhere: a socket may have come to them by ways that leave no record.
   */
  before(serial: number, lives: readonly Life[]): readonly SocketAddress[] | undefined {
    const found: SocketAddress[] = [];
    for (const { pid, startMs, endMs } of lives) {
      if (startMs <= this.#wholeSinceMs) return undefined;
      for (const one of this.#byPid.get(pid) ?? []) {
        if (one.serial < serial && one.atMs >= startMs && one.atMs <= endMs) found.push(one.destination);
      }
    }
    return found.length === 0 ? undefined : found;
  }

  #forgotten(connections: readonly SocketConnection[]): void {
    for (const { atMs } of connections) this.#wholeSinceMs = Math.max(this.#wholeSinceMs, atMs);
  }
}
