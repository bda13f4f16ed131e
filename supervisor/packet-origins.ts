import { messageOf } from '../base/index.ts';
import type { DeniedPacketFact } from '../channel/index.ts';
import type { Attribution, Lateness } from './attribution/attribution.ts';
import { auditLockFile } from './attribution/audit-lock.ts';
import type { AuditLoss } from './attribution/audit-trail.ts';
import { execIds } from './attribution/exec-ids.ts';
import { LogMarker } from './attribution/log-marker.ts';
import { CommandEnds } from './command-ends.ts';
import { workloadNamespacePath } from './fence-loader.ts';
import type { KernelLogRecord } from './kernel-log-record.ts';
import { optimizer } from './optimizer.ts';
import { place } from './place.ts';
import type { ProcessEnd } from './process-accounting.ts';
import { weighWorkload } from './workload-namespace.ts';

/**
 * In a jail: where the kernel's audit records and process events are read, which go to the machine's first network namespace
 * alone. The driver, who started us, stands there; process 1 of a machine may be closed to root too.
 */
const machineNamespace = `/proc/${process.ppid}/ns/net`;
/** This process's own `/run` is none that others see. */
const auditLock = `/proc/${process.ppid}/root${auditLockFile}`;

/** Puts into each fact of a refused packet who sent it, before it is told. */
export class PacketOrigins {
  readonly #marker: LogMarker;
  readonly #onFact: (fact: DeniedPacketFact) => void;
  readonly #pending = new Set<Promise<void>>();
  readonly #ends = new CommandEnds(process.pid);
  #attribution: Attribution | undefined;
  #lost: AuditLoss = { missing: 0, overrun: false, disturbed: false };

  /** `tag` is the run's secret in the log prefix. */
  constructor(tag: string, onFact: (fact: DeniedPacketFact) => void) {
    this.#marker = new LogMarker(tag);
    this.#onFact = onFact;
  }

  /**
   * Begins to watch; what starts afterwards is seen. Never fails: without it packets are told of with no origin. `audit`
   * says whether the kernel's audit system may be used.
   *
   * Native modules are loaded here and not with the supervisor, beside the rest of the guest's preparation.
   */
  async open(audit: boolean): Promise<void> {
    try {
      const { openAttribution } = await import('./attribution/attribution.ts');
      this.#attribution = await openAttribution({
        ids: execIds,
        hidesStarters: true,
        audit,
        namespace: workloadNamespacePath,
        mark: async () => await this.#marker.write(),
        // A guest's kernel keeps accounts of processes, which tell as much. Its processors are the sandbox's own.
        ...(place.jail === undefined
          ? { onLateness: keepUp }
          : { machineNamespace, auditLock, onProcess: (event) => this.#ends.take(event) }),
      });
    } catch (error) {
      process.stderr.write(`tapwarden-supervisor: packets are not attributed: ${messageOf(error)}\n`);
    }
  }

  /** Takes a record that a program wrote to the kernel log. */
  takeRecord(record: KernelLogRecord): void {
    this.#marker.take(record);
  }

  /** Takes a packet, and tells of it when it is known who sent it, or known that nobody will know. */
  take(fact: DeniedPacketFact): void {
    const attribution = this.#attribution;
    if (attribution === undefined) return this.#onFact(fact);
    const told = attribution
      .attribute(fact)
      .then((origin) => this.#onFact({ ...fact, origin }))
      .catch(() => this.#onFact(fact));
    this.#pending.add(told);
    void told.then(() => this.#pending.delete(told));
  }

  /**
   * How the command of a sandbox ended, by the pid of its process 1, where bwrap's word is `end`: of a status above 128 the
   * kernel tells in a jail whether a signal ended it.
   */
  async endOf(sandbox: number, end: ProcessEnd): Promise<ProcessEnd> {
    if (place.jail === undefined || (end.status ?? 0) <= 128) return end;
    await this.#attribution?.settleProcesses();
    return this.#ends.takeEnd(sandbox) ?? end;
  }

  /** Resolves when all packets that were taken have been told of. */
  async settle(): Promise<void> {
    await Promise.all(this.#pending);
  }

  /** What was lost of the audit records up to now, for people; `null` where nothing was, or audit is not used. */
  async loss(): Promise<string | null> {
    const loss = await this.#attribution?.takeLoss();
    if (loss !== undefined) {
      this.#lost = {
        missing: this.#lost.missing + loss.missing,
        overrun: this.#lost.overrun || loss.overrun,
        disturbed: this.#lost.disturbed || loss.disturbed,
      };
    }
    const { missing, overrun, disturbed } = this.#lost;
    const parts = [
      ...(missing > 0 ? [`${missing} audit records were never read`] : []),
      ...(overrun ? ['audit records came faster than they were read'] : []),
      ...(disturbed ? ['somebody changed the audit system meanwhile'] : []),
    ];
    return parts.length === 0 ? null : parts.join('; ');
  }

  /** Ends the watch, and takes back what it changed of the machine. */
  async close(): Promise<void> {
    await this.#attribution?.close();
    await this.settle();
  }
}

/** A record that is late gets more of the processor, one that is very late compiled code too: there is enough to do for that. */
function keepUp(lateness: Lateness): void {
  weighWorkload(lateness);
  if (lateness === 'much') optimizer.work();
}
