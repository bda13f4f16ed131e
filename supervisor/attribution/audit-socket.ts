import { constants } from 'node:os';
import { netlinkProtocols, openNetlinkSocket } from '../../base/netlink-socket.ts';
import { encodeMessage, netlinkFlags, netlinkTypes, parseMessages } from '../../nft/netlink-message.ts';
import { auditTypes } from './audit-record.ts';

const answerTimeoutMs = 5000;

/** What the kernel says of its audit system. Source: include/uapi/linux/audit.h (struct audit_status). */
export type AuditStatus = {
  /** 0 off, 1 on, 2 locked: nothing can be changed until the next boot. */
  readonly enabled: number;
  /** The auditd that the records go to; 0 is none. */
  readonly pid: number;
  /** Records that wait for a reader at most. */
  readonly backlogLimit: number;
  /** Records that were lost since boot. */
  readonly lost: number;
  /** How long a process waits that makes a record while the backlog is full, in jiffies. */
  readonly backlogWaitTime: number;
};

/** What may be set of {@link AuditStatus}. */
export type AuditSettings = Partial<Pick<AuditStatus, 'enabled' | 'backlogLimit' | 'backlogWaitTime'>>;

type Waiting = {
  /** Called with each answer; says whether it was the last. */
  readonly take: (type: number, payload: Buffer) => boolean;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
};

/** An answer of the kernel that says no. `code` is as in `'EPERM'`. */
export class AuditError extends Error {
  readonly code: string;

  constructor(code: string) {
    super(`The kernel's audit system answers ${code}`);
    this.name = 'AuditError';
    this.code = code;
  }
}

/**
 * Questions and orders to the kernel's audit system, one after the other. It never asks to be the auditd.
 *
 * @throws Error with `code` EPROTONOSUPPORT where the kernel has no audit system
 */
export class AuditSocket {
  readonly #socket = openNetlinkSocket(netlinkProtocols.audit);
  readonly #waiting = new Map<number, Waiting>();
  #sequence = 0;

  constructor() {
    this.#socket.on('message', (datagram) => this.#receive(datagram));
    this.#socket.on('truncatedMessage', () => this.#failAll(new AuditError('EMSGSIZE')));
    this.#socket.on('error', (error) => this.#failAll(error));
  }

  /** @throws AuditError */
  async status(): Promise<AuditStatus> {
    let status: AuditStatus | undefined;
    await this.#ask(auditTypes.get, Buffer.alloc(0), (type, payload) => {
      if (type === auditTypes.get) status = parseStatus(payload);
      return status !== undefined;
    });
    if (status === undefined) throw new AuditError('ENODATA');
    return status;
  }

  /**
   * Whether a process whose id was set already may not change it, whoever it is.
   *
   * @throws AuditError
   */
  async isIdImmutable(): Promise<boolean> {
    let features: number | undefined;
    await this.#ask(auditTypes.getFeature, Buffer.alloc(0), (type, payload) => {
      // struct audit_features: version, mask, features, lock; feature 1 is AUDIT_FEATURE_LOGINUID_IMMUTABLE.
      if (type === auditTypes.getFeature) features = payload.readUInt32LE(8);
      return features !== undefined;
    });
    return ((features ?? 0) & 2) !== 0;
  }

  /** @throws AuditError EPERM when the audit system is locked, or this process may not */
  async set(settings: AuditSettings): Promise<void> {
    const payload = Buffer.alloc(44);
    const parts = [
      [settings.enabled, 0x01, 4],
      [settings.backlogLimit, 0x10, 20],
      [settings.backlogWaitTime, 0x20, 36],
    ] as const;
    let mask = 0;
    for (const [value, bit, offset] of parts) {
      if (value === undefined) continue;
      mask |= bit;
      payload.writeUInt32LE(value, offset);
    }
    payload.writeUInt32LE(mask, 0);
    await this.#order(auditTypes.set, payload);
  }

  /** @throws AuditError EEXIST when it stands already, EPERM when the audit system is locked */
  async addRule(rule: Buffer): Promise<void> {
    await this.#order(auditTypes.addRule, rule);
  }

  /** @throws AuditError ENOENT when there is no such rule, EPERM when the audit system is locked */
  async deleteRule(rule: Buffer): Promise<void> {
    await this.#order(auditTypes.deleteRule, rule);
  }

  /** All rules, whoever added them. @throws AuditError */
  async listRules(): Promise<readonly Buffer[]> {
    const rules: Buffer[] = [];
    await this.#ask(auditTypes.listRules, Buffer.alloc(0), (type, payload) => {
      if (type === auditTypes.listRules) rules.push(Buffer.from(payload));
      return type === netlinkTypes.done;
    });
    return rules;
  }

  /** Has the kernel make a record of this text, a word without spaces or quotes. @throws AuditError */
  async write(text: string): Promise<void> {
    await this.#order(auditTypes.user, Buffer.from(`${text}\0`));
  }

  close(): void {
    this.#failAll(new AuditError('ECANCELED'));
    this.#socket.close();
  }

  async #order(type: number, payload: Buffer): Promise<void> {
    await this.#ask(type, payload, (answer) => answer === netlinkTypes.error);
  }

  async #ask(type: number, payload: Buffer, take: Waiting['take']): Promise<void> {
    this.#sequence += 1;
    const sequence = this.#sequence;
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => this.#end(sequence)?.reject(new AuditError('ETIMEDOUT')), answerTimeoutMs);
      const done = (): void => clearTimeout(timer);
      this.#waiting.set(sequence, {
        take,
        resolve: () => {
          done();
          resolve();
        },
        reject: (error) => {
          done();
          reject(error);
        },
      });
      this.#socket.send(encodeMessage({ type, flags: netlinkFlags.request | netlinkFlags.ack, sequence, payload }));
    });
  }

  #receive(datagram: Buffer): void {
    for (const { type, sequence, payload } of parseMessages(datagram)) {
      const waiting = this.#waiting.get(sequence);
      if (waiting === undefined) continue;
      const errno = type === netlinkTypes.error ? -payload.readInt32LE(0) : 0;
      if (errno !== 0) this.#end(sequence)?.reject(new AuditError(errnoName(errno)));
      else if (waiting.take(type, payload)) this.#end(sequence)?.resolve();
    }
  }

  #end(sequence: number): Waiting | undefined {
    const waiting = this.#waiting.get(sequence);
    this.#waiting.delete(sequence);
    return waiting;
  }

  #failAll(error: Error): void {
    for (const sequence of [...this.#waiting.keys()]) this.#end(sequence)?.reject(error);
  }
}

function parseStatus(payload: Buffer): AuditStatus {
  const word = (offset: number): number => (offset + 4 <= payload.length ? payload.readUInt32LE(offset) : 0);
  return { enabled: word(4), pid: word(12), backlogLimit: word(20), lost: word(24), backlogWaitTime: word(36) };
}

function errnoName(errno: number): string {
  return Object.entries(constants.errno).find(([, value]) => value === errno)?.[0] ?? `errno ${errno}`;
}
