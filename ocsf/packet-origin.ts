import { basename } from 'node:path';
import { checkedInteger } from './check.ts';
import { commandLine } from './command-line.ts';
import type { JsonObject, JsonValue } from './event.ts';
import { wellFormed } from './finish.ts';
import { present } from './present.ts';
import type { ObjectOf } from './schema/types.ts';

/** A process of the workload. */
export type ProcessInput = {
  readonly pid: number;
  readonly uid?: number | undefined;
  /** Path of the executable. */
  readonly binary?: string | undefined;
  readonly arguments: readonly string[];
  /** Milliseconds from its start to the packet. */
  readonly ageMs?: number | undefined;
};

/** Who sent a packet, and how that was found out. */
export type OriginInput = {
  /** Example: `'audit'`. */
  readonly method: string;
  readonly confidence: 'high' | 'medium' | 'low';
  /** Why no process is named, or why it is less certain. Example: `'several-processes'`. */
  readonly reason?: string | undefined;
  readonly process?: ProcessInput | undefined;
  /** From its parent on. */
  readonly ancestors: readonly ProcessInput[];
  /** Those between which it could not be decided. */
  readonly candidates: readonly ProcessInput[];
  /** The exec in which the socket was made, and that of the process which sent, where they differ. */
  readonly conflict?: { readonly markExec: number; readonly auditExec: number } | undefined;
};

type Process = ObjectOf<'process'>;

/** Where nobody looked for the sender. */
const byKernelLog = Object.freeze({ verified: false, method: 'kernel-log', reason: 'process-not-attributed' });
const byKernelLogUid = Object.freeze({ ...byKernelLog, method: 'kernel-log-uid' });

/** `confidence_id`: how sure it is who sent the packet; that it was refused is certain. */
export function confidenceOf(origin: OriginInput | undefined): 1 | 2 | 3 {
  return origin?.confidence === 'high' ? 3 : origin?.confidence === 'medium' ? 2 : 1;
}

/** `unmapped.origin`. */
export function originOf(origin: OriginInput | undefined, uid: number | undefined): JsonObject {
  if (origin === undefined) return uid === undefined ? byKernelLog : byKernelLogUid;
  const { confidence, method, reason, candidates, conflict } = origin;
  const found: Record<string, JsonValue> = { verified: confidence === 'high', method: wellFormed(method) };
  if (reason !== undefined) found['reason'] = wellFormed(reason);
  if (candidates.length > 0) {
    found['candidates'] = candidates.map(({ pid, binary }) =>
      present({ pid: checkedPid(pid), path: binary === undefined ? undefined : wellFormed(binary) }),
    );
  }
  if (conflict !== undefined) {
    found['conflict'] = {
      mark_exec: checkedInteger(conflict.markExec, 'origin.conflict.markExec', 0, 0xffffffff),
      audit_exec: checkedInteger(conflict.auditExec, 'origin.conflict.auditExec', 0, 0xffffffff),
    };
  }
  return found;
}

/**
 * `actor.process`: the process that sent a packet at `time`, with those that led to it. A process that is not known for
 * certain is none: its confidence says how far to trust it.
 *
 * @throws EVENT_INVALID when a number is out of its range
 */
export function processOf(origin: OriginInput | undefined, time: number, sandbox: string): Process | undefined {
  if (origin?.process === undefined) return undefined;
  const ancestors = origin.ancestors.map((ancestor) => factsOf(ancestor, time));
  const [parent] = ancestors;
  return present({
    ...factsOf(origin.process, time),
    sandbox,
    parent_process: parent,
    ancestry:
      ancestors.length === 0
        ? undefined
        : ancestors.map(({ pid, name, cmd_line, created_time, file }) =>
            present({ pid, name, cmd_line, created_time, path: file?.path }),
          ),
  });
}

/** A text that is the same for the same origin, whatever the age of its processes to a second or so. */
export function keyOf(origin: OriginInput | undefined, time: number): string {
  if (origin === undefined) return '';
  const { method, confidence, reason, process, ancestors, candidates, conflict } = origin;
  const all = [...(process === undefined ? [] : [process]), ...ancestors, ...candidates];
  const words = all.map(({ pid, uid, binary, arguments: argv, ageMs }) =>
    [pid, uid, binary, ageMs === undefined ? '' : Math.round((time - ageMs) / 1000), argv.length, ...argv].join('\0'),
  );
  const counts = [process === undefined ? 0 : 1, ancestors.length, candidates.length];
  return [method, confidence, reason, conflict?.markExec, conflict?.auditExec, ...counts, ...words].join('\0');
}

function factsOf({ pid, uid, binary, arguments: argv, ageMs }: ProcessInput, time: number): Process {
  const file = binary === undefined ? undefined : fileOf(binary);
  return present({
    pid: checkedPid(pid),
    name: file?.name,
    cmd_line: argv.length === 0 ? undefined : commandLine(argv),
    file,
    user: uid === undefined ? undefined : { uid: String(checkedInteger(uid, 'origin.process.uid', 0, 0xffffffff)) },
    created_time: ageMs === undefined ? undefined : time - checkedInteger(ageMs, 'origin.process.ageMs', 0, time),
  });
}

/** The path stays as the kernel has it: a name may end in ` (deleted)` by itself. */
function fileOf(path: string): ObjectOf<'file'> | undefined {
  const name = basename(path).replace(/ \(deleted\)$/, '');
  return name === '' ? undefined : { name, path, type_id: 8 };
}

function checkedPid(pid: number): number {
  return checkedInteger(pid, 'origin.process.pid', 1, 0x7fffffff);
}
