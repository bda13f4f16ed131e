/**
 * The workload's system call filter, as the classic BPF program that `bwrap --seccomp` loads.
 *
 * It refuses what a program in the sandbox has no use for and a kernel bug might hide in: socket families other than
 * UNIX, IPv4, IPv6 and route netlink; io_uring; user namespaces; bpf, perf events, userfaultfd and kernel keys; tracing of
 * other processes; the kernel log, in which the secret of the run stands; and the 32-bit and x32 system call tables as a
 * whole, which would offer all of these again under other numbers.
 *
 * x86-64 only. Source: seccomp(2); include/uapi/linux/seccomp.h, filter.h, audit.h; arch/x86/entry/syscalls.
 */
export function seccompFilter(): Buffer {
  const program: readonly Instruction[] = [
    load(offset.architecture),
    ...unless(jumpEqual, architectureX8664, [fail(errno.ENOSYS)]),
    load(offset.number),
    ...when(jumpAtLeast, x32Bit, [fail(errno.ENOSYS)]),
    ...when(jumpEqual, syscall.socket, familyChecks),
    ...when(jumpEqual, syscall.socketpair, familyChecks),
    ...when(jumpEqual, syscall.clone, [
      load(argument(0)),
      ...when(jumpAnySet, newUserFlag, [fail(errno.EPERM)]),
      allow,
    ]),
    ...when(jumpEqual, syscall.unshare, [
      load(argument(0)),
      ...when(jumpAnySet, newUserFlag, [fail(errno.EPERM)]),
      allow,
    ]),
    // Its flags stand in memory, where a filter cannot look; the C library falls back to clone.
    ...when(jumpEqual, syscall.clone3, [fail(errno.ENOSYS)]),
    ...refusedCalls.flatMap((number) => when(jumpEqual, number, [fail(errno.EPERM)])),
    allow,
  ];
  return Buffer.concat(program.map(encode));
}

/** `struct sock_filter`: operation, jump distances when true and when false, operand. */
type Instruction = { readonly code: number; readonly yes: number; readonly no: number; readonly operand: number };

const errno = { EPERM: 1, ENOSYS: 38, EAFNOSUPPORT: 97 } as const;
const syscall = { socket: 41, socketpair: 53, clone: 56, unshare: 272, clone3: 435 } as const;
const refusedCalls = [
  101, // ptrace
  103, // syslog
  248, // add_key
  249, // request_key
  250, // keyctl
  298, // perf_event_open
  308, // setns
  310, // process_vm_readv
  311, // process_vm_writev
  321, // bpf
  323, // userfaultfd
  425, // io_uring_setup
  426, // io_uring_enter
  427, // io_uring_register
  438, // pidfd_getfd
] as const;
const family = { unix: 1, inet: 2, inet6: 10, netlink: 16, packet: 17 } as const;
const netlinkRoute = 0;
const newUserFlag = 0x10000000;
const architectureX8664 = 0xc000003e;
const x32Bit = 0x40000000;

/** Offsets in `struct seccomp_data`; of a 64-bit argument the low half, which is all that these calls read. */
const offset = { number: 0, architecture: 4, arguments: 16 } as const;
const argument = (index: number): number => offset.arguments + 8 * index;

const jumpEqual = 0x15;
const jumpAtLeast = 0x35;
const jumpAnySet = 0x45;

const load = (at: number): Instruction => ({ code: 0x20, yes: 0, no: 0, operand: at });
const allow: Instruction = { code: 0x06, yes: 0, no: 0, operand: 0x7fff0000 };
const fail = (number: number): Instruction => ({ code: 0x06, yes: 0, no: 0, operand: 0x00050000 | number });

/** `block` runs where the comparison holds; else it is jumped over. A block that loads must end in a return. */
function when(code: number, operand: number, block: readonly Instruction[]): readonly Instruction[] {
  return [{ code, yes: 0, no: block.length, operand }, ...block];
}

function unless(code: number, operand: number, block: readonly Instruction[]): readonly Instruction[] {
  return [{ code, yes: block.length, no: 0, operand }, ...block];
}

const familyChecks: readonly Instruction[] = [
  load(argument(0)),
  ...when(jumpEqual, family.unix, [allow]),
  ...when(jumpEqual, family.inet, [allow]),
  ...when(jumpEqual, family.inet6, [allow]),
  ...when(jumpEqual, family.netlink, [load(argument(2)), ...when(jumpEqual, netlinkRoute, [allow]), fail(errno.EPERM)]),
  // As the kernel answers a process without CAP_NET_RAW.
  ...when(jumpEqual, family.packet, [fail(errno.EPERM)]),
  fail(errno.EAFNOSUPPORT),
];

function encode({ code, yes, no, operand }: Instruction): Buffer {
  const buffer = Buffer.alloc(8);
  buffer.writeUInt16LE(code, 0);
  buffer.writeUInt8(yes, 2);
  buffer.writeUInt8(no, 3);
  buffer.writeUInt32LE(operand >>> 0, 4);
  return buffer;
}
