/** By which calls a {@link tinyProgram} makes its attempt. `socketcall` is the one call of old 32-bit programs for all. */
export type TinyKind =
  | 'connect'
  | 'connect-nonblocking'
  | 'sendto'
  | 'write'
  | 'socketcall-connect'
  | 'socketcall-sendto';

/** What a program is to try. */
export type TinyAttempt = {
  readonly bits: 64 | 32;
  /** Those with `socketcall` are of 32 bits. */
  readonly kind: TinyKind;
  /** IPv4, as in `198.51.100.7`. */
  readonly address: string;
  readonly port: number;
};

/** A program, and where in its file the port stands, two bytes, the high one first. */
export type TinyProgram = { readonly bytes: Buffer; readonly portAt: number };

/**
 * Makes an executable of some hundred bytes that makes one attempt to send something and ends: static, without a library,
 * so that it lives as short as a process can, and needs no compiler for another architecture.
 *
 * Source: elf(5); arch/x86/entry/syscalls/syscall_64.tbl and syscall_32.tbl; socketcall(2), include/uapi/linux/net.h.
 */
export function tinyProgram({ bits, kind, address, port }: TinyAttempt): TinyProgram {
  const machine = machines[bits];
  const calls = callsOf(kind, machine);
  const at = (offset: number): number => base + machine.headBytes + codeBytes + offset;
  const code = Buffer.concat(calls.map((call) => machine.encode(call, at)));
  if (code.length > codeBytes) throw new RangeError(`The program is too long: ${code.length} bytes`);
  const data = Buffer.alloc(dataBytes);
  data.writeUInt16LE(inet, address0);
  data.writeUInt16BE(port, address0 + 2);
  data.set(address.split('.').map(Number), address0 + 4);
  data.set([0x78], text);
  // The arguments of a socketcall stand in memory; its descriptor is written there by the program.
  const words = kind === 'socketcall-sendto' ? [0, at(text), 1, 0, at(address0), 16] : [0, at(address0), 16];
  for (const [index, word] of words.entries()) data.writeUInt32LE(word, descriptor + 4 * index);
  const types = [inet, kind === 'socketcall-sendto' ? datagrams : streams, 0];
  for (const [index, word] of types.entries()) data.writeUInt32LE(word, socketWords + 4 * index);
  const bytes = Buffer.concat([code, Buffer.alloc(codeBytes - code.length), data]);
  const head = machine.head(machine.headBytes + bytes.length);
  return { bytes: Buffer.concat([head, bytes]), portAt: machine.headBytes + codeBytes + address0 + 2 };
}

const base = 0x400000;
const codeBytes = 160;
/** Where things stand in the data: what {@link socket} answered and words after it, an address, a letter, words for a socketcall. */
const [descriptor, address0, text, socketWords, dataBytes] = [0, 24, 40, 44, 56];
const [inet, streams, datagrams, nonblocking] = [2, 1, 2, 0x800];
const [tcp, udp] = [6, 17];

/** A number, the address of a thing in the data, or what the first call answered. */
type Word = number | { readonly at: number } | 'descriptor';
type Call = { readonly number: number; readonly words: readonly Word[]; readonly keeps?: boolean };

function callsOf(kind: TinyKind, { numbers }: Machine): readonly Call[] {
  const { socketcall } = numbers;
  const socket = (type: number, protocol: number): Call => ({
    number: numbers.socket,
    words: [inet, type, protocol],
    keeps: true,
  });
  const connect: Call = { number: numbers.connect, words: ['descriptor', { at: address0 }, 16] };
  const exit: Call = { number: numbers.exit, words: [0] };
  const bySocketcall = (call: number): readonly Call[] => {
    if (socketcall === undefined) throw new RangeError('A program of 64 bits has no socketcall');
    return [
      { number: socketcall, words: [1, { at: socketWords }], keeps: true },
      { number: socketcall, words: [call, { at: descriptor }] },
      exit,
    ];
  };
  switch (kind) {
    case 'connect':
      return [socket(streams, tcp), connect, exit];
    case 'connect-nonblocking':
      return [socket(streams | nonblocking, tcp), connect, exit];
    case 'sendto': {
      const words: Call['words'] = ['descriptor', { at: text }, 1, 0, { at: address0 }, 16];
      return [socket(datagrams, udp), { number: numbers.sendto, words }, exit];
    }
    case 'write': {
      const write: Call = { number: numbers.write, words: ['descriptor', { at: text }, 1] };
      return [socket(datagrams, udp), connect, write, exit];
    }
    case 'socketcall-connect':
      return bySocketcall(3);
    case 'socketcall-sendto':
      return bySocketcall(11);
  }
}

type Machine = {
  readonly headBytes: number;
  readonly numbers: Readonly<Record<'socket' | 'connect' | 'sendto' | 'write' | 'exit', number>> & {
    readonly socketcall?: number;
  };
  readonly head: (size: number) => Buffer;
  readonly encode: (call: Call, at: (offset: number) => number) => Buffer;
};

const machines: Readonly<Record<64 | 32, Machine>> = {
  64: {
    headBytes: 120,
    numbers: { socket: 41, connect: 42, sendto: 44, write: 1, exit: 60 },
    head: (size) => {
      const head = Buffer.alloc(120);
      writeIdentity(head, 2, 62);
      head.writeBigUInt64LE(BigInt(base + 120), 24);
      head.writeBigUInt64LE(64n, 32);
      for (const [value, offset] of [
        [64, 52],
        [56, 54],
        [1, 56],
      ] as const)
        head.writeUInt16LE(value, offset);
      // PT_LOAD, which may be read, written and executed.
      head.writeUInt32LE(1, 64);
      head.writeUInt32LE(7, 68);
      head.writeBigUInt64LE(BigInt(base), 80);
      head.writeBigUInt64LE(BigInt(base), 88);
      for (const offset of [96, 104]) head.writeBigUInt64LE(BigInt(size), offset);
      head.writeBigUInt64LE(4096n, 112);
      return head;
    },
    // rdi, rsi, rdx, r10, r8, r9: `mov r32, imm32` or `mov r32, [disp32]`; then `mov eax, number; syscall`.
    encode: ({ number, words, keeps }, at) =>
      Buffer.concat([
        ...words.map((word, index) => {
          const register = [7, 6, 2, 10, 8, 9][index] ?? 0;
          const low = register & 7;
          if (word === 'descriptor') {
            return bytes([register > 7 ? 0x44 : 0x40, 0x8b, 0x04 | (low << 3), 0x25], at(descriptor));
          }
          return bytes([register > 7 ? 0x41 : 0x40, 0xb8 + low], typeof word === 'number' ? word : at(word.at));
        }),
        bytes([0xb8], number),
        Buffer.from([0x0f, 0x05]),
        ...(keeps === true ? [bytes([0x89, 0x04, 0x25], at(descriptor))] : []),
      ]),
  },
  32: {
    headBytes: 84,
    numbers: { socket: 359, connect: 362, sendto: 369, write: 4, exit: 1, socketcall: 102 },
    head: (size) => {
      const head = Buffer.alloc(84);
      writeIdentity(head, 1, 3);
      head.writeUInt32LE(base + 84, 24);
      head.writeUInt32LE(52, 28);
      for (const [value, offset] of [
        [52, 40],
        [32, 42],
        [1, 44],
      ] as const)
        head.writeUInt16LE(value, offset);
      // PT_LOAD from the file's beginning, its two addresses, its two sizes, its rights and alignment.
      for (const [index, word] of [1, 0, base, base, size, size, 7, 4096].entries()) {
        head.writeUInt32LE(word, 52 + 4 * index);
      }
      return head;
    },
    // ebx, ecx, edx, esi, edi, ebp: `mov r32, imm32` or `mov r32, [disp32]`; then `mov eax, number; int 0x80`.
    encode: ({ number, words, keeps }, at) =>
      Buffer.concat([
        ...words.map((word, index) => {
          const register = [3, 1, 2, 6, 7, 5][index] ?? 0;
          if (word === 'descriptor') return bytes([0x8b, 0x05 | (register << 3)], at(descriptor));
          return bytes([0xb8 + register], typeof word === 'number' ? word : at(word.at));
        }),
        bytes([0xb8], number),
        Buffer.from([0xcd, 0x80]),
        ...(keeps === true ? [bytes([0xa3], at(descriptor))] : []),
      ]),
  },
};

/** The first bytes of every executable: class, byte order, version; its kind (2, executable), machine and version. */
function writeIdentity(head: Buffer, width: 1 | 2, machine: number): void {
  head.set([0x7f, 0x45, 0x4c, 0x46, width, 1, 1], 0);
  head.writeUInt16LE(2, 16);
  head.writeUInt16LE(machine, 18);
  head.writeUInt32LE(1, 20);
}

/** An instruction and the word of four bytes that ends it. */
function bytes(operation: readonly number[], word: number): Buffer {
  const encoded = Buffer.alloc(operation.length + 4);
  encoded.set(operation);
  encoded.writeUInt32LE(word, operation.length);
  return encoded;
}
