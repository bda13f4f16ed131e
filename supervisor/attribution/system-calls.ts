/** What a system call does with a packet: begins a connection, sends to an address or a connected socket, or writes. */
export type AttemptKind = 'connect' | 'send' | 'write';

/** A system call of which audit tells, and what it is to us. */
export type SystemCall = AttemptKind | 'execute' | 'socket-call';

/** The two architectures of x86-64 kernels. Source: include/uapi/linux/audit.h (AUDIT_ARCH_X86_64, AUDIT_ARCH_I386). */
export const architectures = { b64: 0xc000003e, b32: 0x40000003 } as const;

/**
 * Numbers of the system calls by which a packet may leave, and of those that start a program. All that can write to a
 * connected socket are among them: a program is free in its choice.
 *
 * Source: arch/x86/entry/syscalls/syscall_64.tbl and syscall_32.tbl.
 */
export const systemCalls: Readonly<
  Record<keyof typeof architectures, Readonly<Record<SystemCall, readonly number[]>>>
> = {
  b64: {
    connect: [42],
    // sendto, sendmsg, sendmmsg
    send: [44, 46, 307],
    // write, writev, sendfile, splice, pwritev2
    write: [1, 20, 40, 275, 328],
    // execve, execveat
    execute: [59, 322],
    'socket-call': [],
  },
  b32: {
    connect: [362],
    send: [369, 370, 345],
    // write, writev, sendfile, sendfile64, splice, pwritev2
    write: [4, 146, 187, 239, 313, 379],
    execute: [11, 358],
    'socket-call': [102],
  },
};

/** Calls of socketcall(2) by their number. Source: include/uapi/linux/net.h. */
const socketCalls: ReadonlyMap<number, AttemptKind> = new Map([
  [3, 'connect'],
  [9, 'send'],
  [11, 'send'],
  [16, 'send'],
  [20, 'send'],
]);

/** What a system call is, by its architecture and number, and for socketcall by its first argument. */
export function systemCallOf(
  architecture: number,
  number: number,
  argument: number,
): Exclude<SystemCall, 'socket-call'> | undefined {
  const name = architecture === architectures.b64 ? 'b64' : architecture === architectures.b32 ? 'b32' : undefined;
  if (name === undefined) return undefined;
  const call = callsByNumber[name].get(number);
  return call === 'socket-call' ? socketCalls.get(argument) : call;
}

const callsByNumber = {
  b64: byNumber(systemCalls.b64),
  b32: byNumber(systemCalls.b32),
} as const;

function byNumber(calls: Readonly<Record<SystemCall, readonly number[]>>): ReadonlyMap<number, SystemCall> {
  const named = Object.entries(calls) as [SystemCall, readonly number[]][];
  return new Map(named.flatMap(([call, numbers]) => numbers.map((number) => [number, call] as const)));
}
