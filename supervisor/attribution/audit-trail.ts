import { readFileSync } from 'node:fs';
import { startTimeOf } from '../../base/index.ts';
import type { AuditEvent } from './audit-event.ts';
import { auditLockFile, withAuditLock } from './audit-lock.ts';
import { keyOfOwner, type Owner, readOwners, removeStale, restoreSettings, type Settings } from './audit-owner.ts';
import { AuditReader, type AuditReaderEvents } from './audit-reader.ts';
import { auditField, readAuditText } from './audit-record.ts';
import { type AuditIds, asFirst, sandboxRules, silencesTasks } from './audit-rule.ts';
import { AuditSocket, type AuditStatus } from './audit-socket.ts';
import { awaitMark } from './mark-wait.ts';

/** Why audit cannot be used; `off` where the caller does not want it. */
export const auditObstacles = {
  off: 'it is not wanted',
  absent: 'the kernel has no audit system, or none for system calls',
  denied: 'this process may not use it: it needs root in the first user and pid namespace',
  locked: 'it is locked until the next boot, and takes no rules',
  'tasks-silenced': 'a rule of the machine says that system calls of no process are recorded (never,task)',
  'ids-immutable': 'this process has a session id, and the machine forbids to change one',
} as const;

/** A key of {@link auditObstacles}. */
export type AuditObstacle = keyof typeof auditObstacles;

/** What an {@link AuditTrail} is opened with. */
export type AuditTrailOptions = {
  /** The session ids of this sandbox's execs. */
  readonly ids: AuditIds;
  readonly onEvent: (event: AuditEvent) => void;
  /** Milliseconds of CLOCK_MONOTONIC. */
  readonly now: () => number;
  /** Calls something in the machine's first network namespace, to which alone the kernel sends its records. */
  readonly inMachine?: InMachine;
  /** Path of the lock under which the machine's audit system is changed. @default {@link auditLockFile} */
  readonly lockFile?: string;
};

/** See {@link AuditTrailOptions}. */
export type InMachine = <T>(body: () => T) => Promise<T>;

/** What was lost of the audit records since the last look. */
export type AuditLoss = {
  /** Events of the machine whose numbers never came, and records that the kernel dropped. */
  readonly missing: number;
  /** Whether the socket's buffer was full. */
  readonly overrun: boolean;
  /** Whether somebody switched audit off, or removed our rules. */
  readonly disturbed: boolean;
};

/** While we need it, and no auditd has its own: a full backlog drops records, which is seen, and stalls no process. */
const wanted: Settings = { enabled: 1, backlogLimit: 8192, backlogWaitTime: 0 };

/** The kernel's audit records of one sandbox: rules of its own, added at the start and removed at the end. */
export class AuditTrail {
  readonly #socket: AuditSocket;
  readonly #reader: AuditReader;
  readonly #owner: Owner;
  readonly #rules: readonly Buffer[];
  readonly #lockFile: string;
  #lostBefore: number;
  readonly #markPrefix: string;
  readonly #barriers = new Map<number, (passed: boolean) => void>();
  #markCount = 0;
  #overrun = false;
  #disturbed = false;
  #closing = false;

  private constructor(parts: Parts) {
    this.#socket = parts.socket;
    this.#owner = parts.owner;
    this.#markPrefix = `tapwarden-mark.${parts.owner.pid}.`;
    this.#lockFile = parts.options.lockFile ?? auditLockFile;
    this.#rules = sandboxRules(parts.options.ids, keyOfOwner(parts.owner));
    this.#lostBefore = parts.status.lost;
    const events: AuditReaderEvents = {
      onEvent: parts.options.onEvent,
      onChange: (record) => {
        const isOurs = readAuditText(auditField(record, 'key')) === keyOfOwner(parts.owner);
        const operation = auditField(record, 'op');
        const isRemoval = operation === 'remove_rule' && isOurs;
        const isOff = operation === 'set' && auditField(record, 'audit_enabled') === '0';
        if (!this.#closing && (isRemoval || isOff)) this.#disturbed = true;
      },
      onText: (text) => this.#takeText(text),
      onOverrun: () => {
        this.#overrun = true;
      },
    };
    this.#reader = new AuditReader(events, parts.options.now);
  }

  /**
   * Adds the rules, switches audit on where it is off, and reads. Where an auditd runs, nothing but the rules is changed.
   * What an earlier process left behind that was killed is removed, once our own rules say what to restore. Says why not where that cannot be; then nothing
   * is changed.
   */
  static async open(options: AuditTrailOptions): Promise<AuditTrail | AuditObstacle> {
    const inMachine: InMachine = options.inMachine ?? (async (body) => body());
    let socket: AuditSocket;
    try {
      socket = await inMachine(() => new AuditSocket());
    } catch {
      return 'absent';
    }
    try {
      const trail = await withAuditLock(
        options.lockFile ?? auditLockFile,
        async () => await AuditTrail.#openWith(socket, options, inMachine),
      );
      if (typeof trail === 'string') socket.close();
      return trail;
    } catch (error) {
      socket.close();
      return obstacleOfError(error);
    }
  }

  static async #openWith(
    socket: AuditSocket,
    options: AuditTrailOptions,
    inMachine: InMachine,
  ): Promise<AuditTrail | AuditObstacle> {
    const status = await socket.status();
    const obstacle = await obstacleOf(socket, status, readOwnId());
    if (obstacle !== undefined) return obstacle;
    const owners = await readOwners(socket);
    const { alive, gone } = owners;
    const { enabled, backlogLimit, backlogWaitTime } = status;
    // What was found first is what is restored last.
    const found = alive?.found ?? gone?.found ?? { enabled, backlogLimit, backlogWaitTime };
    const owner = { pid: process.pid, start: (await startTimeOf(process.pid)) ?? '', found };
    const trail = await inMachine(() => new AuditTrail({ options, socket, owner, status }));
    await trail.#begin(status).catch(async (error: unknown) => {
      await trail.#end();
      throw error;
    });
    // Ours say the same by now.
    await removeStale(socket, owners);
    return trail;
  }

  /**
   * Resolves when all records have been read that the kernel made before the call; `false` when that cannot be known. The
   * kernel's queue keeps its order, so a record that we have it make ourselves comes after them.
   */
  async passBarrier(): Promise<boolean> {
    if (this.#reader.isResting) return false;
    return await new Promise<boolean>((resolve) => {
      const end = (passed: boolean): void => {
        stop();
        this.#barriers.delete(number);
        resolve(passed);
      };
      const stop = awaitMark({
        progress: () => this.#reader.messages,
        again: () => void this.#mark(() => end(false)),
        giveUp: () => end(false),
      });
      const number = this.#mark(() => end(false));
      this.#barriers.set(number, end);
    });
  }

  /** Has the kernel make a mark, and says which it is. */
  #mark(onFailure: () => void): number {
    this.#markCount += 1;
    this.#socket.write(`${this.#markPrefix}${this.#markCount}`).catch(onFailure);
    return this.#markCount;
  }

  /** Marks come in their order: if a later one comes first, the earlier one is lost, and other records may be. */
  #takeText(text: string): void {
    if (!text.startsWith(this.#markPrefix)) return;
    const seen = Number(text.slice(this.#markPrefix.length));
    for (const [number, end] of this.#barriers) if (number <= seen) end(number === seen);
  }

  /** What was lost since the last call. */
  async takeLoss(): Promise<AuditLoss> {
    const status = await this.#socket.status();
    const dropped = status.lost - this.#lostBefore;
    this.#lostBefore = status.lost;
    const loss = {
      missing: this.#reader.takeLost() + dropped,
      overrun: this.#overrun,
      disturbed: this.#disturbed || status.enabled === 0,
    };
    this.#overrun = false;
    this.#disturbed = false;
    return loss;
  }

  /** Removes the rules, and restores what was found unless somebody else needs it. */
  async close(): Promise<void> {
    await withAuditLock(this.#lockFile, async () => await this.#end());
  }

  async #end(): Promise<void> {
    this.#closing = true;
    for (const end of this.#barriers.values()) end(false);
    // The rules go last: of a process that is killed meanwhile they tell what is to be restored.
    await restoreSettings(this.#socket, this.#owner.found, this.#owner.pid).catch(() => undefined);
    await Promise.allSettled(this.#rules.map(async (rule) => await this.#socket.deleteRule(rule)));
    this.#reader.close();
    this.#socket.close();
  }

  /** The rules come first, for another process that leaves to see that somebody is there. */
  async #begin(status: AuditStatus): Promise<void> {
    await Promise.all(this.#rules.map(async (rule) => await this.#socket.addRule(asFirst(rule))));
    if (status.pid === 0) await this.#socket.set(wanted);
    else if (status.enabled === 0) await this.#socket.set({ enabled: 1 });
  }
}

type Parts = {
  readonly options: AuditTrailOptions;
  readonly socket: AuditSocket;
  readonly owner: Owner;
  readonly status: AuditStatus;
};

/**
 * Takes away what killed processes left behind: their rules, and the settings that they changed, if no other process of
 * ours needs them.
 */
export async function reclaimAudit(): Promise<void> {
  let socket: AuditSocket;
  try {
    socket = new AuditSocket();
  } catch {
    return;
  }
  try {
    await withAuditLock(auditLockFile, async () => {
      const { gone } = await readOwners(socket);
      if (gone !== undefined) await restoreSettings(socket, gone.found);
    });
  } finally {
    socket.close();
  }
}

/** Why audit cannot be used although the kernel has it. `ownId` is the session id of this process, if there are any. */
export async function obstacleOf(
  socket: Pick<AuditSocket, 'isIdImmutable' | 'listRules'>,
  status: AuditStatus,
  ownId: number | undefined,
): Promise<AuditObstacle | undefined> {
  if (status.enabled === 2) return 'locked';
  if (ownId === undefined) return 'absent';
  if (ownId !== unsetId && (await socket.isIdImmutable())) return 'ids-immutable';
  return (await socket.listRules()).some(silencesTasks) ? 'tasks-silenced' : undefined;
}

const unsetId = 0xffffffff;

function readOwnId(): number | undefined {
  try {
    return Number(readFileSync('/proc/self/loginuid', 'utf8'));
  } catch {
    return undefined;
  }
}

function obstacleOfError(error: unknown): AuditObstacle {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return code === 'EPERM' || code === 'EACCES' || code === 'ECONNREFUSED' ? 'denied' : 'absent';
}
