import { netlinkProtocols, openNetlinkSocket } from '../../base/netlink-socket.ts';
import { encodeMessage, netlinkFlags, netlinkTypes, parseMessages } from '../../nft/netlink-message.ts';
import { formatIp4, formatIp6 } from './audit-record.ts';

/** A socket as the kernel lists it. Addresses that are not set are `0.0.0.0` or `::`, ports 0. */
export type ListedSocket = {
  readonly localAddress: string;
  readonly localPort: number;
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly uid: number;
  readonly inode: number;
};

/** Which sockets to list. */
export type SocketQuery = {
  readonly family: 4 | 6;
  /** IANA number. */
  readonly protocol: number;
  readonly localPort: number;
};

const byFamily = 20;
const families = { 4: 2, 6: 10 } as const;
const requestBytes = 56;
const answerBytes = 72;
const timeoutMs = 1000;

type Waiting = {
  readonly sockets: ListedSocket[];
  readonly resolve: (sockets: readonly ListedSocket[] | undefined) => void;
};

/**
 * The kernel's socket diagnostics of the network namespace in which this is opened.
 *
 * Source: sock_diag(7), include/uapi/linux/inet_diag.h (struct inet_diag_req_v2, struct inet_diag_msg).
 */
export class SocketDiag {
  readonly #socket = openNetlinkSocket(netlinkProtocols.socketDiag);
  readonly #waiting = new Map<number, Waiting>();
  #sequence = 0;

  constructor() {
    this.#socket.on('message', (datagram) => this.#receive(datagram));
    this.#socket.on('truncatedMessage', () => this.#failAll());
    this.#socket.on('error', () => this.#failAll());
  }

  /**
   * The sockets with that local port, in every state: a connection that was refused is in none that is listed, unless its
   * port was bound by the program. `undefined` where the kernel does not tell of that protocol.
   */
  async list(query: SocketQuery): Promise<readonly ListedSocket[] | undefined> {
    this.#sequence += 1;
    const sequence = this.#sequence;
    const payload = Buffer.alloc(requestBytes);
    payload.writeUInt8(families[query.family], 0);
    payload.writeUInt8(query.protocol, 1);
    payload.writeUInt32LE(0xffffffff, 4);
    payload.writeUInt16BE(query.localPort, 8);
    const message = encodeMessage({
      type: byFamily,
      flags: netlinkFlags.request | netlinkFlags.dump,
      sequence,
      payload,
    });
    return await new Promise((resolve) => {
      const timer = setTimeout(() => this.#end(sequence)?.resolve(undefined), timeoutMs);
      const waiting: Waiting = {
        sockets: [],
        resolve: (sockets) => {
          clearTimeout(timer);
          resolve(sockets);
        },
      };
      this.#waiting.set(sequence, waiting);
      this.#socket.send(message);
    });
  }

  close(): void {
    this.#failAll();
    this.#socket.close();
  }

  #receive(datagram: Buffer): void {
    for (const { type, sequence, payload } of parseMessages(datagram)) {
      const waiting = this.#waiting.get(sequence);
      if (waiting === undefined) continue;
      if (type === byFamily) waiting.sockets.push(...parseListedSocket(payload));
      else if (type === netlinkTypes.done) this.#end(sequence)?.resolve(waiting.sockets);
      else if (type === netlinkTypes.error) this.#end(sequence)?.resolve(undefined);
    }
  }

  #end(sequence: number): Waiting | undefined {
    const waiting = this.#waiting.get(sequence);
    this.#waiting.delete(sequence);
    return waiting;
  }

  #failAll(): void {
    for (const sequence of [...this.#waiting.keys()]) this.#end(sequence)?.resolve(undefined);
  }
}

/** One socket of an answer, or none where it is too short. */
export function parseListedSocket(payload: Buffer): readonly ListedSocket[] {
  if (payload.length < answerBytes) return [];
  const isIp6 = payload.readUInt8(0) === families[6];
  const address = (offset: number): string =>
    isIp6 ? formatIp6(payload.subarray(offset, offset + 16)) : formatIp4(payload.subarray(offset, offset + 4));
  return [
    {
      localAddress: address(8),
      localPort: payload.readUInt16BE(4),
      remoteAddress: address(24),
      remotePort: payload.readUInt16BE(6),
      uid: payload.readUInt32LE(64),
      inode: payload.readUInt32LE(68),
    },
  ];
}
