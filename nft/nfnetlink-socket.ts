import { constants } from 'node:os';
import { getSystemErrorName } from 'node:util';
import { TapwardenError } from '../base/index.ts';
import { type NetlinkSocket, netlinkProtocols, openNetlinkSocket } from '../base/netlink-socket.ts';
import type { TableName } from './model.ts';
import { encodeMessage, netlinkFlags, netlinkTypes, parseMessages } from './netlink-message.ts';
import {
  countersRequest,
  eachElement,
  elementsRequest,
  encodeBatch,
  generationOf,
  generationRequest,
  type NfnetlinkRequest,
  parseCounter,
  parseGeneration,
  parseTableHandle,
  tableRequest,
} from './nfnetlink.ts';

/** The kernel fills a datagram of a dump up to 32 KiB, if the reader has room for it. */
const datagramBytes = 65_536;
const maxAttempts = 20;

type Answer = {
  readonly sequence: number;
  readonly onPayload: (payload: Buffer) => void;
  readonly resolve: (interrupted: boolean) => void;
  readonly reject: (error: Error) => void;
  interrupted: boolean;
  generation?: number;
};

/**
 * A netlink socket to the nf_tables of the network namespace in which it is opened, and of no other. Questions are
 * answered one after the other.
 *
 * Not exported by this folder's index: it loads a native module, which only those load who use it.
 */
export class NfnetlinkSocket {
  readonly #socket: NetlinkSocket;
  readonly #bufferBytes: number;
  #sequence = 0;
  #interruptions = 0;
  #waiting: Answer | undefined;
  #last: Promise<unknown> = Promise.resolve();

  /** `bufferBytes` is the room for one datagram of the kernel, of which tests take a small one. @default 65536 */
  constructor(options: { readonly bufferBytes?: number } = {}) {
    this.#bufferBytes = options.bufferBytes ?? datagramBytes;
    this.#socket = openNetlinkSocket(netlinkProtocols.netfilter, { datagramBytes: this.#bufferBytes });
    this.#socket.on('message', (datagram) => this.#receive(datagram));
    this.#socket.on('truncatedMessage', () => this.#fail(new Error('A datagram of the kernel was cut off')));
    this.#socket.on('error', (error) => this.#fail(error));
  }

  /**
   * The handle of a table, by which it is told from one that was made in its place.
   *
   * @throws NFT_NOT_FOUND when there is no such table
   * @throws NOT_ROOT when the process lacks the right to ask (CAP_NET_ADMIN)
   */
  async tableHandle(table: TableName): Promise<number> {
    let handle: number | undefined;
    await this.ask(tableRequest(table), `table ${table.family} ${table.name}`, (payload) => {
      handle = parseTableHandle(payload);
    });
    if (handle === undefined) throw unreadable(`The kernel gave no handle for table ${table.name}`);
    return handle;
  }

  /**
   * Packets of the named counters of a table.
   *
   * @throws NFT_NOT_FOUND, NOT_ROOT as {@link tableHandle}
   */
  async counters(table: TableName): Promise<ReadonlyMap<string, number>> {
    const counters = new Map<string, number>();
    await this.dump(countersRequest(table), `the counters of ${table.name}`, {
      begin: () => counters.clear(),
      onPayload: (payload) => {
        const counter = parseCounter(payload);
        if (counter !== undefined) counters.set(counter.name, counter.packets);
      },
    });
    // A dump of objects is filtered by the table's name, and empty where there is no such table.
    if (counters.size === 0) await this.tableHandle(table);
    return counters;
  }

  /**
   * Packets of the elements of a set by their key, as {@link eachElement} has it.
   *
   * @throws NFT_NOT_FOUND when there is no such set or table
   * @throws NOT_ROOT as {@link tableHandle}
   */
  async elements(table: TableName, set: string): Promise<ReadonlyMap<string, number>> {
    const elements = new Map<string, number>();
    await this.dump(elementsRequest(table, set), `the set ${set} of ${table.name}`, {
      begin: () => elements.clear(),
      onPayload: (payload) =>
        eachElement(payload, (key, packets) => {
          // While the table of the kernel grows, a dump may meet an element twice; its counter only rises.
          elements.set(key, Math.max(packets, elements.get(key) ?? 0));
        }),
    });
    return elements;
  }

  /** The number of the ruleset's generation, which each transaction in the namespace raises. Errors as {@link tableHandle}. */
  async generation(): Promise<number> {
    let generation: number | undefined;
    await this.ask(generationRequest, 'the generation of the ruleset', (payload) => {
      generation = parseGeneration(payload);
    });
    if (generation === undefined) throw unreadable('The kernel gave no generation of the ruleset');
    return generation;
  }

  /**
   * Sends messages as one transaction: all of it takes effect, or nothing.
   *
   * @param generation which the ruleset must have; one that has changed is refused. @default any
   * @throws NFT_REJECTED when the kernel refuses it, with its `errno`
   * @throws NOT_ROOT as {@link tableHandle}
   */
  async transact(requests: readonly NfnetlinkRequest[], generation?: number): Promise<void> {
    if (requests.length === 0) return;
    try {
      await this.#inTurn((sequence) => encodeBatch(requests, sequence, generation));
    } catch (cause) {
      const { errno, refused } = cause as Partial<ReturnType<typeof refusal>>;
      if (errno === undefined || errno === constants.errno.EPERM) throw classify(cause, 'the ruleset');
      throw new TapwardenError('NFT_REJECTED', {
        message: `The kernel refuses a message of type ${refused} of the ruleset: ${getSystemErrorName(-errno)}`,
        details: { errno, refused },
        cause,
      });
    }
  }

  /** How many dumps were asked for again because the ruleset changed under them. */
  get interruptions(): number {
    return this.#interruptions;
  }

  close(): void {
    this.#fail(new Error('The socket was closed'));
    this.#socket.close();
  }

  /**
   * Asks for a dump; `what` is its name in errors, `begin` is called before it and each time that it is made again: one during
   * which the ruleset changed may lack parts, and says so.
   *
   * @throws NFT_NOT_FOUND, NOT_ROOT as {@link tableHandle}
   * @throws NFT_UNREADABLE when the ruleset changes without end
   */
  async dump(
    request: NfnetlinkRequest,
    what: string,
    answer: { readonly begin: () => void; readonly onPayload: (payload: Buffer) => void },
  ): Promise<void> {
    for (let attempt = 0; attempt < maxAttempts; attempt += 1) {
      answer.begin();
      if (!(await this.ask(request, what, answer.onPayload))) return;
      this.#interruptions += 1;
    }
    throw unreadable(`The ruleset changed at each of ${maxAttempts} attempts to read ${what}`);
  }

  /** Asks, and says whether the answer was interrupted. Errors as {@link tableHandle}. */
  async ask(request: NfnetlinkRequest, what: string, onPayload: (payload: Buffer) => void): Promise<boolean> {
    try {
      return await this.#inTurn((sequence) => encodeMessage({ ...request, sequence }), onPayload);
    } catch (cause) {
      throw classify(cause, what);
    }
  }

  async #inTurn(
    encode: (sequence: number) => Buffer,
    onPayload: Answer['onPayload'] = () => undefined,
  ): Promise<boolean> {
    const turn = this.#last.then(async () => await this.#exchange(encode, onPayload));
    this.#last = turn.catch(() => undefined);
    return await turn;
  }

  async #exchange(encode: (sequence: number) => Buffer, onPayload: Answer['onPayload']): Promise<boolean> {
    this.#sequence += 1;
    const sequence = this.#sequence;
    return await new Promise<boolean>((resolve, reject) => {
      this.#waiting = { sequence, onPayload, resolve, reject, interrupted: false };
      this.#socket.send(encode(sequence), {}, (error) => {
        if (error !== undefined && error !== null) this.#fail(error);
      });
    });
  }

  #receive(datagram: Buffer): void {
    try {
      for (const { type, flags, sequence, payload } of parseMessages(datagram)) {
        const waiting = this.#waiting;
        // What answers a question that was given up before.
        if (waiting === undefined || sequence !== waiting.sequence) continue;
        if ((flags & netlinkFlags.dumpInterrupted) !== 0) waiting.interrupted = true;
        if (type === netlinkTypes.error || type === netlinkTypes.done) {
          const errno = payload.length >= 4 ? -payload.readInt32LE(0) : 0;
          // A dump that the ruleset's change broke off ends with EINTR.
          if (errno === constants.errno.EINTR) waiting.interrupted = true;
          else if (errno !== 0) return this.#fail(refusal(errno, payload));
          this.#waiting = undefined;
          waiting.resolve(waiting.interrupted);
        } else {
          // The kernel does not flag an interrupted dump of a set, but each message has the ruleset's generation in it.
          const generation = generationOf(payload);
          waiting.generation ??= generation;
          if (waiting.generation !== generation) waiting.interrupted = true;
          waiting.onPayload(payload);
        }
      }
    } catch (error) {
      this.#fail(error as Error);
    }
  }

  #fail(error: Error): void {
    this.#waiting?.reject(error);
    this.#waiting = undefined;
  }
}

/** An answer of the kernel that has an error, and the header of what it refused. Source: netlink(7), struct nlmsgerr. */
function refusal(
  errno: number,
  payload: Buffer,
): Error & { readonly errno: number; readonly refused: number | undefined } {
  const refused = payload.length >= 10 ? payload.readUInt16LE(8) & 0xff : undefined;
  return Object.assign(new Error(`errno ${errno}`), { errno, refused });
}

function classify(cause: unknown, what: string): TapwardenError {
  const errno = (cause as { readonly errno?: number }).errno;
  if (errno === constants.errno.ENOENT) {
    return new TapwardenError('NFT_NOT_FOUND', { message: `The kernel does not know ${what}`, cause });
  }
  if (errno === constants.errno.EPERM) {
    return new TapwardenError('NOT_ROOT', { message: `Reading ${what} needs root in its network namespace`, cause });
  }
  return unreadable(`Cannot read ${what}: ${cause instanceof Error ? cause.message : String(cause)}`, cause);
}

function unreadable(message: string, cause?: unknown): TapwardenError {
  return new TapwardenError('NFT_UNREADABLE', { message, cause });
}
