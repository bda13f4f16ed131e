import { closeSync, openSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { type Child, loadLibc, start } from '../base/index.ts';
import type { DeniedPacketFact, Fact } from '../channel/index.ts';
import { decodeLogPrefix } from '../nft/index.ts';
import { ForgedLines } from './forged-lines.ts';
import { formatMonotonic, type KernelLogRecord, parseKernelLogRecord } from './kernel-log-record.ts';
import { parseNetfilterLogLine } from './netfilter-log-line.ts';

/** What a monitor needs. */
export type MonitorOptions = {
  /** The run's secret in the log prefix. */
  readonly tag: string;
  /** Called with each refused packet, with each gap in the log's sequence numbers, and with lines that pretend to be of packets. */
  readonly onFact: (fact: Fact) => void;
  /** Called with each record that a program wrote, which is no evidence of anything. */
  readonly onOther?: (record: KernelLogRecord) => void;
  /** A reader that reads nothing for so long, while a marker is to come, is ended, and another one starts. @default 3000 */
  readonly stalledMs?: number;
  /** @default `/dev/kmsg` */
  readonly device?: string;
};

const kernelLog = '/dev/kmsg';
/** SEEK_END: behind the last record. Source: Documentation/ABI/testing/dev-kmsg, lseek(2). */
const seekEnd = 2;
const usualStalledMs = 3000;
const maxPauseMs = 500;

/**
 * Reads the kernel log and makes facts of the fence's lines.
 *
 * The log is evidence, so it is read as such: only records of facility 0, which no program can write; only lines that
 * begin with this run's prefix and parse to their end; and sequence numbers without a gap, or the gap is a fact.
 *
 * A child `cat` reads the device: Node can wait on a pipe, but not on this device. After an overrun the kernel answers
 * EPIPE once and `cat` ends: another one starts, what was seen already is passed over by its sequence number, and what
 * is missing shows as a gap. Source: Documentation/ABI/testing/dev-kmsg.
 */
export class Monitor {
  readonly #options: MonitorOptions;
  readonly #forged: ForgedLines;
  readonly #markers = new Map<string, () => void>();
  #reader: Child | undefined;
  #last: number | undefined;
  #stopped = false;
  #restarts = 0;
  /** When a reader ended whose successor has not read anything yet. */
  #endedAt: number | undefined;
  #markerCount = 0;

  private constructor(options: MonitorOptions) {
    this.#options = options;
    this.#forged = new ForgedLines(options);
  }

  /**
   * Begins to read, with what is logged from then on: nothing from before can be of this run, and under emulation to read it takes
   * a while.
   */
  static async open(options: MonitorOptions): Promise<Monitor> {
    const seek = (await loadLibc()).func('int64_t lseek(int, int64_t, int)');
    const monitor = new Monitor(options);
    let log: number | undefined;
    try {
      log = openSync(monitor.#device, 'r');
      seek(log, 0, seekEnd);
    } catch {
      // A log that cannot be opened cannot be settled, which is said where it matters; a jail may be told to go without.
    }
    try {
      monitor.#startReader(log);
    } finally {
      if (log !== undefined) closeSync(log);
    }
    return monitor;
  }

  /**
   * Resolves when every record that the kernel logged before the call has been read; false when that cannot be: the
   * reader stood still, and the one that was started in its place did too.
   *
   * A marker is written to the log and awaited in the stream: what stood before it has then been seen. It may be among the
   * records that are overwritten unread; so after each gap it is written once more.
   */
  async settle(): Promise<boolean> {
    this.#markerCount += 1;
    const marker = `tapwarden-marker ${this.#options.tag} ${this.#markerCount}`;
    return await new Promise<boolean>((resolve) => {
      let seen = this.#last;
      let restarted = false;
      const finish = (settled: boolean): void => {
        clearInterval(timer);
        this.#markers.delete(marker);
        this.#forged.flush();
        resolve(settled);
      };
      const timer = setInterval(() => {
        const moved = this.#last !== seen;
        seen = this.#last;
        if (moved) return;
        if (restarted) return finish(false);
        restarted = true;
        this.#reader?.process.kill('SIGKILL');
      }, this.#options.stalledMs ?? usualStalledMs);
      this.#markers.set(marker, () => finish(true));
      this.#writeMarker(marker).catch(() => finish(false));
    });
  }

  /** Ends the reader. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#forged.flush();
    this.#reader?.process.kill('SIGKILL');
    await this.#reader?.ended;
  }

  /** Reads from `log` on, or from the oldest record that the kernel has. */
  #startReader(log?: number): void {
    const reader = start(['cat', ...(log === undefined ? [this.#device] : [])], {
      stdio: [log ?? 'ignore', 'pipe', 'ignore'],
    });
    this.#reader = reader;
    const { stdout } = reader.process;
    if (stdout !== null) createInterface({ input: stdout }).on('line', (line) => this.#readLine(line));
    void reader.ended.then(() => {
      if (this.#stopped) return;
      this.#restarts += 1;
      this.#endedAt ??= performance.now();
      // At once for a first overrun, then with a growing pause, so that a broken reader does not eat the processor.
      setTimeout(
        () => {
          if (!this.#stopped) this.#startReader();
        },
        Math.min(maxPauseMs, this.#restarts * 20 - 20),
      );
    });
  }

  /** A record without its newline stays open for continuation, and is not read until the next one comes. */
  async #writeMarker(marker: string): Promise<void> {
    await writeFile(this.#device, `${marker}\n`, { flag: 'r+' });
  }

  get #device(): string {
    return this.#options.device ?? kernelLog;
  }

  #readLine(line: string): void {
    const record = parseKernelLogRecord(line);
    // Dictionary lines begin with a space and belong to the record before.
    if (record === undefined) return;
    this.#tellOfRestart(record.sequence);
    if (this.#last !== undefined && record.sequence <= this.#last) return;
    if (this.#last !== undefined && record.sequence > this.#last + 1) {
      const first = this.#last + 1;
      this.#options.onFact({ kind: 'gap', missing: record.sequence - first, first, last: record.sequence - 1 });
      for (const marker of this.#markers.keys()) this.#writeMarker(marker).catch(() => undefined);
    }
    this.#last = record.sequence;
    this.#restarts = 0;
    if (record.facility === 0) {
      const fact = deniedPacketFact(record.text, this.#options.tag, record.sequence, record.microseconds);
      if (fact === undefined) this.#forged.take(record);
      else this.#options.onFact(fact);
    } else {
      this.#forged.take(record);
      this.#options.onOther?.(record);
      this.#markers.get(record.text)?.();
      this.#markers.delete(record.text);
    }
  }

  /** A new reader begins at the oldest record that the kernel has: only what was read before shows where it goes on. */
  #tellOfRestart(sequence: number): void {
    const [endedAt, last] = [this.#endedAt, this.#last];
    if (endedAt === undefined) return;
    this.#endedAt = undefined;
    if (last === undefined) return;
    const downMs = Math.round(performance.now() - endedAt);
    this.#options.onFact({ kind: 'restart', last, next: Math.max(sequence, last + 1), downMs });
  }
}

/** The refused packet that a kernel record of facility 0 tells of, if it is a line of this run's fence. */
export function deniedPacketFact(
  text: string,
  tag: string,
  sequence: number,
  microseconds: number,
): DeniedPacketFact | undefined {
  const line = decodeLogPrefix(text, { tag });
  const packet = line === undefined ? undefined : parseNetfilterLogLine(line);
  if (line === undefined || packet === undefined) return undefined;
  const { interfaceOut, source, destination, length, protocol } = packet;
  const { sourcePort, destinationPort, icmp, tcpFlags, uid, gid, mark } = packet;
  // A literal, because to spread one takes as long as to match a line.
  return {
    kind: 'denied-packet',
    monotonic: formatMonotonic(microseconds),
    sequence,
    interfaceOut,
    source,
    destination,
    length,
    protocol,
    sourcePort,
    destinationPort,
    icmp,
    tcpFlags,
    uid,
    gid,
    mark,
    raw: line.slice(0, 1024),
    origin: null,
  };
}
