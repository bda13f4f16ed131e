import { type NetlinkSocket, netlinkProtocols, openNetlinkSocket } from '../../base/netlink-socket.ts';
import { parseMessages } from '../../nft/netlink-message.ts';
import { type AuditEvent, readAuditEvent } from './audit-event.ts';
import { type AuditRecord, auditField, auditTypes, parseAuditRecord } from './audit-record.ts';
import { SerialGaps } from './serial-gaps.ts';

/** AUDIT_NLGRP_READLOG: the records, as auditd gets them. */
const readLogGroup = 1;
/** A record is at most 8970 bytes (MAX_AUDIT_MESSAGE_LENGTH). Room is cleared for each datagram anew, so more of it takes time. */
const datagramBytes = 9216;
const bufferBytes = 16 * 1024 * 1024;
/** Paths, folder and title of a process, which stand beside records of the same number: AUDIT_PATH, AUDIT_CWD, AUDIT_PROCTITLE. */
const unused: ReadonlySet<number> = new Set([1302, 1307, 1327]);
/** Events whose last record has not come. */
const maxOpen = 4096;
/** Messages in a second beyond which the reader rests for a while: a workload that floods must not have all our time. */
const maxPerSecond = 20_000;
const restMs = 1000;

/** What an {@link AuditReader} tells of. */
export type AuditReaderEvents = {
  readonly onEvent: (event: AuditEvent) => void;
  /** A record of a change of the audit system, as `op=remove_rule key="…"`. */
  readonly onChange: (record: AuditRecord) => void;
  /** The text of a record that a program wrote. */
  readonly onText: (text: string) => void;
  /** The kernel had no room for records of ours: they are lost. */
  readonly onOverrun: () => void;
};

/**
 * Reads the kernel's audit records, beside the auditd if there is one. It changes nothing.
 *
 * Records come in a queue of the kernel as long as it has room: 16 MiB were enough for 60,000 refused connections in
 * three seconds.
 */
export class AuditReader {
  readonly #socket: NetlinkSocket;
  readonly #events: AuditReaderEvents;
  readonly #open = new Map<number, AuditRecord[]>();
  readonly #gaps = new SerialGaps();
  readonly #now: () => number;
  #second = { sinceMs: 0, messages: 0 };
  #rest: NodeJS.Timeout | undefined;
  #messages = 0;

  /** `now` gives milliseconds of a clock that does not go back. */
  constructor(events: AuditReaderEvents, now: () => number) {
    this.#events = events;
    this.#now = now;
    this.#socket = openNetlinkSocket(netlinkProtocols.audit, { datagramBytes, bufferBytes });
    this.#socket.on('message', (datagram) => this.#receive(datagram));
    this.#socket.on('truncatedMessage', () => events.onOverrun());
    // ENOBUFS: the queue was full once. The socket goes on.
    this.#socket.on('error', () => events.onOverrun());
    try {
      this.#socket.addMembership(readLogGroup);
    } catch (error) {
      this.#socket.close();
      throw error;
    }
  }

  /** Events of the machine that were lost since the last call; see {@link SerialGaps}. */
  takeLost(final = false): number {
    return this.#gaps.takeLost(this.#now(), final);
  }

  /** So many messages have been read. */
  get messages(): number {
    return this.#messages;
  }

  /** Whether it rests, because too many records came. */
  get isResting(): boolean {
    return this.#rest !== undefined;
  }

  close(): void {
    clearTimeout(this.#rest);
    this.#socket.close();
  }

  #receive(datagram: Buffer): void {
    this.#messages += 1;
    this.#restIfFlooded();
    for (const { type, payload } of parseMessages(datagram)) {
      if (unused.has(type)) continue;
      const record = parseAuditRecord(type, payload.toString('latin1'));
      if (record !== undefined) this.#take(record);
    }
  }

  /** What comes meanwhile is lost, and said to be. */
  #restIfFlooded(): void {
    const nowMs = this.#now();
    if (nowMs - this.#second.sinceMs > 1000) this.#second = { sinceMs: nowMs, messages: 0 };
    this.#second.messages += 1;
    if (this.#second.messages <= maxPerSecond || this.#rest !== undefined) return;
    this.#events.onOverrun();
    this.#socket.dropMembership(readLogGroup);
    this.#rest = setTimeout(() => {
      this.#rest = undefined;
      this.#socket.addMembership(readLogGroup);
    }, restMs);
  }

  #take(record: AuditRecord): void {
    this.#gaps.take(record.serial, this.#now());
    if (record.type === auditTypes.end) {
      const records = this.#open.get(record.serial);
      this.#open.delete(record.serial);
      const event = records === undefined ? undefined : readAuditEvent(records);
      if (event !== undefined) this.#events.onEvent(event);
      return;
    }
    if (record.type === auditTypes.configChange) this.#events.onChange(record);
    if (record.type === auditTypes.user) this.#events.onText(auditField(record, 'msg')?.replaceAll("'", '') ?? '');
    const records = this.#open.get(record.serial);
    if (records !== undefined) records.push(record);
    else this.#open.set(record.serial, [record]);
    // Events of one record have no end.
    if (this.#open.size > maxOpen) this.#open.delete(this.#open.keys().next().value ?? 0);
  }
}
