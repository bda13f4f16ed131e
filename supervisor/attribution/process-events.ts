import { readFileSync, writeFileSync } from 'node:fs';
import { type NetlinkSocket, netlinkProtocols, openNetlinkSocket } from '../../base/netlink-socket.ts';
import { encodeMessage, netlinkTypes, parseMessages } from '../../nft/netlink-message.ts';
import { awaitMark } from './mark-wait.ts';
import { monotonicMs } from './monotonic.ts';

/**
 * Fork, exec and exit of processes as the kernel tells of them, by its process connector.
 *
 * Source: include/uapi/linux/cn_proc.h (struct proc_event), include/uapi/linux/connector.h (struct cn_msg).
 */
export type ProcessEvent =
  /** `parent` and `child` are processes, not threads. */
  | { readonly kind: 'fork'; readonly atMs: number; readonly parent: number; readonly child: number }
  | { readonly kind: 'exec'; readonly atMs: number; readonly pid: number }
  /** `status` is what its parent is told: see wait(2). */
  | { readonly kind: 'exit'; readonly atMs: number; readonly pid: number; readonly status: number }
  /** It has another thread. */
  | { readonly kind: 'thread'; readonly atMs: number; readonly pid: number }
  /** It has set its name. */
  | { readonly kind: 'name'; readonly atMs: number; readonly pid: number };

/** CN_IDX_PROC and CN_VAL_PROC */
const processIndex = 1;
const processValue = 1;
const listen = 1;
const ignore = 2;
const headerBytes = 20;
const bufferBytes = 4 * 1024 * 1024;
/** An event is 76 bytes. */
const datagramBytes = 512;
const ownName = '/proc/self/comm';
const kinds = { fork: 0x1, exec: 0x2, name: 0x200, exit: 0x80000000 } as const;

/** What a {@link ProcessEvents} tells of. */
export type ProcessEventsOptions = {
  readonly onEvent: (event: ProcessEvent) => void;
  /** So many events of a processor are missing, or some number where that cannot be known: `undefined`. */
  readonly onLost: (count: number | undefined) => void;
};

/**
 * Listens to the process connector, of all processes of the machine.
 *
 * @throws Error with a `code` where the kernel has none, or this process may not listen
 */
export class ProcessEvents {
  readonly #socket: NetlinkSocket;
  readonly #options: ProcessEventsOptions;
  /** The next number of each processor, which counts its own events. */
  readonly #next = new Map<number, number>();
  readonly #barriers = new Set<{ readonly sinceMs: number; readonly end: (passed: boolean) => void }>();
  #messages = 0;

  constructor(options: ProcessEventsOptions) {
    this.#options = options;
    this.#socket = openNetlinkSocket(netlinkProtocols.connector, {
      datagramBytes,
      bufferBytes,
      groups: processIndex,
    });
    this.#socket.on('message', (datagram) => this.#receive(datagram));
    this.#socket.on('truncatedMessage', () => options.onLost(undefined));
    this.#socket.on('error', () => options.onLost(undefined));
    this.#order(listen);
  }

  /**
   * Resolves when all events have been read of what happened before the call; `false` when that cannot be known. Events are
   * queued as they happen, so one that we cause ourselves comes after them: this process sets its name, to what it is.
   */
  async passBarrier(): Promise<boolean> {
    return await new Promise<boolean>((resolve) => {
      const end = (passed: boolean): void => {
        stop();
        this.#barriers.delete(barrier);
        resolve(passed);
      };
      const barrier = { sinceMs: monotonicMs(), end };
      const mark = (): void => {
        try {
          // Without the newline that ends it, which would become part of it.
          writeFileSync(ownName, readFileSync(ownName, 'utf8').replace(/\n$/, ''));
        } catch {
          end(false);
        }
      };
      const stop = awaitMark({ progress: () => this.#messages, again: mark, giveUp: () => end(false) });
      this.#barriers.add(barrier);
      mark();
    });
  }

  close(): void {
    for (const { end } of this.#barriers) end(false);
    this.#order(ignore);
    this.#socket.close();
  }

  #order(operation: number): void {
    const payload = Buffer.alloc(headerBytes + 4);
    payload.writeUInt32LE(processIndex, 0);
    payload.writeUInt32LE(processValue, 4);
    payload.writeUInt16LE(4, 16);
    payload.writeUInt32LE(operation, headerBytes);
    this.#socket.send(encodeMessage({ type: netlinkTypes.done, flags: 0, sequence: 0, payload }));
  }

  #receive(datagram: Buffer): void {
    this.#messages += 1;
    for (const { payload } of parseMessages(datagram)) {
      const message = parseProcessMessage(payload);
      if (message === undefined) continue;
      const next = this.#next.get(message.processor);
      this.#next.set(message.processor, (message.sequence + 1) >>> 0);
      const lost = next === undefined ? 0 : (message.sequence - next) >>> 0;
      // A step back is no loss: numbers may come out of order when the kernel changes processors in between.
      if (lost > 0 && lost < 0x80000000) this.#options.onLost(lost);
      const { event } = message;
      if (event?.kind === 'name' && event.pid === process.pid) this.#pass(event.atMs);
      if (event !== undefined) this.#options.onEvent(event);
    }
  }

  /** A mark that is lost is made up for by the next one: by its time it is known what it came after. */
  #pass(atMs: number): void {
    for (const { sinceMs, end } of this.#barriers) if (sinceMs <= atMs) end(true);
  }
}

/** A message of the connector; `event` is absent where it tells of something else. */
export function parseProcessMessage(
  payload: Buffer,
): { readonly sequence: number; readonly processor: number; readonly event?: ProcessEvent } | undefined {
  if (payload.length < headerBytes + 24 || payload.readUInt32LE(0) !== processIndex) return undefined;
  const body = payload.subarray(headerBytes);
  const [sequence, processor] = [payload.readUInt32LE(8), body.readUInt32LE(4)];
  // Nanoseconds of CLOCK_MONOTONIC.
  const atMs = Number(body.readBigUInt64LE(8)) / 1e6;
  const word = (index: number): number => (16 + 4 * index + 4 <= body.length ? body.readUInt32LE(16 + 4 * index) : 0);
  const event = eventOf(body.readUInt32LE(0), atMs, word);
  return event === undefined ? { sequence, processor } : { sequence, processor, event };
}

function eventOf(kind: number, atMs: number, word: (index: number) => number): ProcessEvent | undefined {
  // A process is known by its first thread, whose number is its own.
  if (kind === kinds.fork) {
    const isProcess = word(2) === word(3);
    return isProcess ? { kind: 'fork', atMs, parent: word(1), child: word(3) } : { kind: 'thread', atMs, pid: word(3) };
  }
  if (kind === kinds.exec) return { kind: 'exec', atMs, pid: word(1) };
  if (kind === kinds.name && word(0) === word(1)) return { kind: 'name', atMs, pid: word(1) };
  if (kind === kinds.exit && word(0) === word(1)) return { kind: 'exit', atMs, pid: word(1), status: word(2) };
  return undefined;
}
