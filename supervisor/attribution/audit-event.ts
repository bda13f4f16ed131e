import { maxProcessText } from '../../channel/index.ts';
import {
  type AuditRecord,
  auditField,
  auditFields,
  auditTypes,
  parseSocketAddress,
  readAuditNumber,
  readAuditText,
  type SocketAddress,
} from './audit-record.ts';
import { type AttemptKind, systemCallOf } from './system-calls.ts';

/** Who made a system call, as the kernel recorded it in the call itself. */
type Caller = {
  readonly serial: number;
  /** Epoch milliseconds of its beginning; see {@link AuditRecord}. */
  readonly timeMs: number;
  /** Of the process, not the thread, in the kernel's first pid namespace; so is `parent`. */
  readonly pid: number;
  readonly parent: number;
  /** The audit session id, which names the exec. */
  readonly auid: number;
  readonly uid: number;
  /** Path of the executable as the process sees it, with ` (deleted)` after it when it is gone. */
  readonly binary: string | undefined;
  readonly name: string | undefined;
};

/** A system call by which a packet may have left, and which failed. */
export type AuditAttempt = Caller & {
  readonly kind: AttemptKind;
  /** Negative: the error. */
  readonly exit: number;
  /** Absent where the call names none, since the socket is connected. */
  readonly destination?: SocketAddress;
};

/** A socket that was connected: of datagrams, nothing was sent by that. */
export type AuditConnection = Caller & { readonly kind: 'connected'; readonly destination: SocketAddress };

/** A program that was started, with its arguments as the kernel copied them. */
export type AuditExecution = Caller & { readonly kind: 'execute'; readonly arguments: readonly string[] };

/** What is read of the records of one system call. */
export type AuditEvent = AuditAttempt | AuditConnection | AuditExecution;

const maxArguments = 256;

/** Makes one of the records of a system call; `undefined` where they tell of nothing that matters here, or not enough. */
export function readAuditEvent(records: readonly AuditRecord[]): AuditEvent | undefined {
  const call = records.find(({ type }) => type === auditTypes.syscall);
  if (call === undefined) return undefined;
  const kind = systemCallOf(
    readAuditNumber(auditField(call, 'arch'), 16) ?? 0,
    decimal(call, 'syscall') ?? -1,
    readAuditNumber(auditField(call, 'a0'), 16) ?? 0,
  );
  const [pid, auid, uid, exit] = [
    decimal(call, 'pid'),
    decimal(call, 'auid'),
    decimal(call, 'uid'),
    decimal(call, 'exit'),
  ];
  if (kind === undefined || pid === undefined || auid === undefined || uid === undefined || exit === undefined) {
    return undefined;
  }
  const caller = {
    serial: call.serial,
    timeMs: call.timeMs,
    pid,
    parent: decimal(call, 'ppid') ?? 0,
    auid,
    uid,
    binary: readAuditText(auditField(call, 'exe')),
    name: readAuditText(auditField(call, 'comm')),
  };
  if (kind === 'execute') return exit < 0 ? undefined : { ...caller, kind, arguments: readExecution(records) };
  const address = records.find(({ type }) => type === auditTypes.socketAddress);
  const destination = parseSocketAddress(address && auditField(address, 'saddr'));
  if (exit >= 0) {
    // Setting a session id leaves a record of its own, of a write that succeeded.
    return kind === 'connect' && destination !== undefined ? { ...caller, kind: 'connected', destination } : undefined;
  }
  if (destination !== undefined) return { ...caller, kind, exit, destination };
  // An address of another family, as that of a local socket, is no way out.
  return address === undefined && kind !== 'connect' ? { ...caller, kind, exit } : undefined;
}

function decimal(record: AuditRecord, key: string): number | undefined {
  return readAuditNumber(auditField(record, key));
}

/**
 * The arguments of an execution, as the kernel copied them: `argc=3 a0="sh" a1="-c" a2=…`. A long one stands in pieces,
 * `a2_len=9000 a2[0]=… a2[1]=…`, and all of them may stand in several records.
 *
 * The title of a process (PROCTITLE), which the kernel records beside each call, is not used: it is that of the moment of
 * the process's first record, and stays after the process has executed another program.
 */
function readExecution(records: readonly AuditRecord[]): readonly string[] {
  const all = records.filter(({ type }) => type === auditTypes.execArguments);
  const found: string[] = [];
  let size = 0;
  for (const record of all) {
    for (const [key, value] of auditFields(record)) {
      const index = Number(/^a(\d{1,5})(?:\[\d{1,7}\])?$/.exec(key)?.[1] ?? NaN);
      if (!(index < maxArguments) || size >= maxProcessText) continue;
      const piece = (readAuditText(value) ?? '').slice(0, maxProcessText - size);
      found[index] = `${found[index] ?? ''}${piece}`;
      size += piece.length;
    }
  }
  return Array.from(found, (text) => text ?? '');
}
