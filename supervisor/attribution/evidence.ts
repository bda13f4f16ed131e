import { inNetworkNamespace, loadOverrunGuard } from '../../base/index.ts';
import type { AttemptMatcher } from './attempt-matcher.ts';
import type { AuditEvent } from './audit-event.ts';
import type { AuditIds } from './audit-rule.ts';
import { type AuditLoss, type AuditObstacle, AuditTrail, type InMachine } from './audit-trail.ts';
import { Connections } from './connections.ts';
import { monotonicMs } from './monotonic.ts';
import type { OwnAttempt } from './origin.ts';
import { readImage } from './proc-files.ts';
import { type ProcessEvent, ProcessEvents } from './process-events.ts';
import { ProcessTable } from './process-table.ts';

/** What {@link openEvidence} works from. */
export type EvidenceOptions = {
  /** Audit session ids of the sandbox's execs: exec number `n` has `first + n`. */
  readonly ids: AuditIds;
  /** Process whose descendants the workload's processes are. @default this one */
  readonly root?: number;
  /** Whether arguments of the root's own children are left out. @default false */
  readonly hidesStarters?: boolean;
  /** Whether to use the kernel's audit system. @default true */
  readonly audit?: boolean;
  /** Called with each process event of the machine, where the kernel tells of them. */
  readonly onProcess?: (event: ProcessEvent) => void;
  /** Path of the machine's first network namespace, where this process stands in another one. */
  readonly machineNamespace?: string;
  /** Path of the lock of the machine's audit system, where this process has another `/run`. */
  readonly auditLock?: string;
};

type Writable<T> = { -readonly [Key in keyof T]: T[Key] };

const noLoss: AuditLoss = { missing: 0, overrun: false, disturbed: false };
/** An audit record's time is in whole milliseconds, and the clocks are read one after the other. */
const inexactMs = 2;
/** How long after a loss the records of a call may be among those that are lost. */
const lossMs = 10_000;

/** Begins to watch what the processes of a sandbox do; records of their attempts go into `matcher`. It never fails. */
export async function openEvidence(options: EvidenceOptions, matcher: AttemptMatcher<OwnAttempt>): Promise<Evidence> {
  const evidence = new Evidence(options, matcher);
  await evidence.begin();
  return evidence;
}

/** What the kernel tells of the processes of a sandbox, and up to which moment it has been read. */
export class Evidence {
  readonly table: ProcessTable;
  readonly #options: EvidenceOptions;
  readonly #matcher: AttemptMatcher<OwnAttempt>;
  readonly #connections = new Connections();
  #trail: AuditTrail | undefined;
  #obstacle: AuditObstacle | undefined;
  #events: ProcessEvents | undefined;
  /** Attempts of which the process events tell more, once they have been read. */
  readonly #unrefined: Writable<OwnAttempt>[] = [];
  #lossUntilMs = Number.NEGATIVE_INFINITY;
  #loss: AuditLoss = noLoss;
  #catching: Promise<void> | undefined;
  #catchingEvents: Promise<void> | undefined;
  #eventsMs = Number.NEGATIVE_INFINITY;
  #caughtUpMs = Number.NEGATIVE_INFINITY;

  constructor(options: EvidenceOptions, matcher: AttemptMatcher<OwnAttempt>) {
    this.#options = options;
    this.#matcher = matcher;
    this.table = new ProcessTable(options.root ?? process.pid, options);
  }

  /** Why audit is not used; `undefined` where it is. */
  get obstacle(): AuditObstacle | undefined {
    return this.#obstacle;
  }

  /** All process events from before this moment have been read. */
  get eventsMs(): number {
    return this.#eventsMs;
  }

  /** All records from before this moment have been read, and all process events that tell more of them. */
  get caughtUpMs(): number {
    return this.#caughtUpMs;
  }

  /** Whether records of now may be lost. */
  get hasLoss(): boolean {
    return this.#lossUntilMs > monotonicMs();
  }

  async begin(): Promise<void> {
    const { ids, machineNamespace, auditLock } = this.#options;
    const guard = await loadOverrunGuard();
    const inMachine: InMachine = async (body) =>
      machineNamespace === undefined ? guard(body) : await inNetworkNamespace(machineNamespace, () => guard(body));
    try {
      this.#events = await inMachine(
        () =>
          new ProcessEvents({
            onEvent: (event) => {
              this.table.take(event);
              this.#options.onProcess?.(event);
              if (event.kind === 'exec' && this.#trail === undefined) this.#readImage(event.pid, event.atMs);
            },
            onLost: () => this.table.markLost(),
          }),
      );
    } catch {
      // Ancestors of processes that are gone stay unknown.
    }
    const onEvent = (event: AuditEvent): void => this.#take(event);
    const lock = auditLock === undefined ? {} : { lockFile: auditLock };
    const trail =
      this.#options.audit === false
        ? 'off'
        : await AuditTrail.open({ ids, now: monotonicMs, onEvent, inMachine, ...lock });
    if (typeof trail === 'string') this.#obstacle = trail;
    else this.#trail = trail;
  }

  /** Resolves when all process events have been told of that were before the call; `false` when that cannot be known. */
  async settleProcesses(): Promise<boolean> {
    return (await this.#events?.passBarrier()) ?? false;
  }

  /** Reads all process events of before the call. Where that cannot be known, the processes of then have holes. */
  async passEvents(): Promise<void> {
    if ((await this.#events?.passBarrier()) === false) this.table.markLost();
  }

  /** Reads all process events of before the call, and takes from them what they tell of the records at hand. */
  catchUpEvents(): Promise<void> {
    this.#catchingEvents ??= this.#readEvents().finally(() => {
      this.#catchingEvents = undefined;
    });
    return this.#catchingEvents;
  }

  /**
   * Under load records come late, in the kernel's queue or ours. So nobody concludes that there is none before a record has
   * come that was made afterwards. Where none comes, records are lost for all that we know.
   */
  catchUp(): Promise<void> {
    this.#catching ??= this.#readRecords().finally(() => {
      this.#catching = undefined;
    });
    return this.#catching;
  }

  /** What was lost of the audit records since the last call; `undefined` where audit is not used. */
  async takeLoss(): Promise<AuditLoss | undefined> {
    await this.noteLoss();
    const loss = this.#loss;
    this.#loss = noLoss;
    return this.#trail === undefined ? undefined : loss;
  }

  /** Looks whether records were lost. */
  async noteLoss(): Promise<void> {
    const loss = await this.#trail?.takeLoss();
    if (loss === undefined || (loss.missing === 0 && !loss.overrun && !loss.disturbed)) return;
    this.#lossUntilMs = monotonicMs() + lossMs;
    this.table.markLost();
    this.#loss = {
      missing: this.#loss.missing + loss.missing,
      overrun: this.#loss.overrun || loss.overrun,
      disturbed: this.#loss.disturbed || loss.disturbed,
    };
  }

  async close(): Promise<void> {
    this.#events?.close();
    await this.#trail?.close();
  }

  #take(event: AuditEvent): void {
    const nowMs = monotonicMs();
    // The two clocks may part at any time, so their distance is taken anew for each record.
    const fromMs = event.timeMs - (Date.now() - nowMs) - inexactMs;
    const { pid, serial } = event;
    if (event.kind === 'execute') {
      const { binary, arguments: argv } = event;
      const image = binary === undefined ? undefined : { binary, arguments: argv };
      this.table.execute({ pid, serial, atMs: fromMs, image });
      return;
    }
    const exec = event.auid - this.#options.ids.first;
    if (exec < 0 || event.auid > this.#options.ids.last) return;
    if (event.kind === 'connected') {
      this.#connections.add({ pid, serial, atMs: fromMs, destination: event.destination });
      return;
    }
    const { kind, exit, uid, binary, destination } = event;
    const attempt: Writable<OwnAttempt> = {
      serial,
      kind,
      exec,
      pid,
      exit,
      uid,
      binary,
      destination,
      peers: undefined,
      atMs: fromMs,
      fromMs,
      toMs: nowMs,
    };
    this.#matcher.addAttempt(attempt);
    this.#unrefined.push(attempt);
  }

  /** The kernel tells of every process of the machine. */
  #readImage(pid: number, atMs: number): void {
    if (this.table.find(pid, atMs) === undefined) return;
    const image = readImage(pid);
    this.table.execute({ pid, serial: atMs, atMs, image, seenMs: monotonicMs() });
  }

  async #readEvents(): Promise<void> {
    const begunMs = monotonicMs();
    await this.passEvents();
    this.#eventsMs = begunMs;
    for (let next = this.#unrefined[0]; next !== undefined && next.toMs <= begunMs; next = this.#unrefined[0]) {
      this.#unrefined.shift();
      // Both are right, so what they have in common is.
      const { fromMs, toMs } = this.table.spanOf(next);
      next.fromMs = Math.max(next.fromMs, fromMs);
      next.toMs = Math.max(next.fromMs, Math.min(next.toMs, toMs));
      if (next.destination !== undefined) continue;
      next.peers = this.#connections.before(next.serial, this.table.lineageOf(next.pid, next.atMs) ?? []);
    }
  }

  async #readRecords(): Promise<void> {
    if (this.#trail === undefined) return;
    const begunMs = monotonicMs();
    const passed = await this.#trail.passBarrier();
    if (!passed) this.#lossUntilMs = monotonicMs() + lossMs;
    // What is late is taken to have lasted until it was read, which the events put right.
    for (const readMs = monotonicMs(); this.#eventsMs < readMs; ) await this.catchUpEvents();
    this.#caughtUpMs = begunMs;
  }
}
