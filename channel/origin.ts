import { integer, list, nullable, object, oneOf, type ShapeOf, text } from '../base/index.ts';

/** How it was found out who sent a packet, from the best way to none. */
export const originMethods = ['audit', 'socket', 'proc', 'exec', 'uid', 'unknown'] as const;

/** Why no process is named, or why the one that is named is less certain. */
export const originReasons = {
  'several-processes': 'Several processes can have sent it, and nothing tells which.',
  'no-record':
    'Audit runs, and has no record of a call that can have sent it, or fewer records than there are packets.',
  'records-lost': 'Audit records of that time were lost.',
  'socket-gone': 'Audit does not run, and the socket is gone.',
  'shared-socket': 'Several processes hold the socket.',
  'mark-disagrees': 'Packet mark and audit name different execs: the socket was handed on.',
  'owner-disagrees': 'The socket belongs to another user than the process: it was handed on.',
  'too-many': 'More packets came at once than could be looked for.',
  'destination-not-recorded':
    'The call names no destination, since the socket was connected before; it is the only one that can be meant.',
} as const;

/** A key of {@link originReasons}. */
export type OriginReason = keyof typeof originReasons;

const id = integer(0, 4_294_967_295);

/**
 * Characters of a path, and of all arguments of a process together as the guest sends them: more than an event has room for,
 * so that what is cut is cut there, and said.
 */
export const maxProcessText = 4200;
/** Processes of each list that an origin holds at most. */
export const maxOriginProcesses = 8;

/** What is known of a process. */
const originProcess = object({
  /** In the first pid namespace of the kernel that the workload runs on. */
  pid: integer(1, 4_194_304),
  uid: nullable(id),
  /** Path of the executable as the process sees it, with ` (deleted)` after it when it is gone. */
  binary: nullable(text(maxProcessText)),
  arguments: list(text(maxProcessText), 256),
  /** Milliseconds from the start of the process to the packet. */
  ageMs: nullable(integer(0, 2 ** 45)),
});

/** Who sent a refused packet. */
export const originShape = object({
  method: oneOf(...originMethods),
  confidence: oneOf('high', 'medium', 'low'),
  reason: nullable(oneOf(...(Object.keys(originReasons) as readonly OriginReason[]))),
  /** The exec to which the process belongs. */
  exec: nullable(id),
  process: nullable(originProcess),
  /** Who started it, from its parent on. */
  ancestors: list(originProcess, maxOriginProcesses),
  /** Where no process is named: those between which it could not be decided. */
  candidates: list(originProcess, maxOriginProcesses),
  /** Set where they are not the same: the exec in which the socket was made, and that of the process which sent. */
  conflict: nullable(object({ markExec: id, auditExec: id })),
});

/** Who sent a refused packet, and how sure that is. */
export type Origin = ShapeOf<typeof originShape>;
/** A process that an {@link Origin} names. */
export type OriginProcess = ShapeOf<typeof originProcess>;
