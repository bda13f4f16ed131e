/**
 * Netlink messages and their attributes, bytes to values and back. Header fields are in the byte order of the machine,
 * which on all that tapwarden runs on (x86-64) is little-endian.
 *
 * Source: include/uapi/linux/netlink.h (struct nlmsghdr, struct nlattr), netlink(7).
 */

/** A message without its length, which is that of the payload and the header. */
export type NetlinkMessage = {
  readonly type: number;
  /** A sum of {@link netlinkFlags}. */
  readonly flags: number;
  readonly sequence: number;
  readonly payload: Buffer;
};

/** Flags of a message. `dumpInterrupted`: the kernel's data changed while it was dumped, and the dump may lack parts. */
export const netlinkFlags = {
  request: 0x1,
  multi: 0x2,
  ack: 0x4,
  dumpInterrupted: 0x10,
  dump: 0x300,
  create: 0x400,
  append: 0x800,
} as const;

/** Types that netlink itself has. */
export const netlinkTypes = { error: 2, done: 3 } as const;

const headerBytes = 16;
/** Bytes of struct nlattr, which begins every attribute. */
export const attributeHeaderBytes = 4;
/** The two high bits of an attribute's type say how its value is written: nested, or in network order. */
const attributeTypeMask = 0x3fff;
const nestedFlag = 0x8000;

/** Renders one message. */
export function encodeMessage(message: NetlinkMessage): Buffer {
  const header = Buffer.alloc(headerBytes);
  header.writeUInt32LE(headerBytes + message.payload.length, 0);
  header.writeUInt16LE(message.type, 4);
  header.writeUInt16LE(message.flags, 6);
  header.writeUInt32LE(message.sequence, 8);
  return Buffer.concat([header, message.payload]);
}

/**
 * The messages of one datagram. Payloads are views of `datagram`.
 *
 * @throws RangeError when a length leads out of it, which the kernel never writes
 */
export function parseMessages(datagram: Buffer): readonly NetlinkMessage[] {
  const messages: NetlinkMessage[] = [];
  for (let at = 0; at + headerBytes <= datagram.length; ) {
    const length = datagram.readUInt32LE(at);
    if (length < headerBytes || at + length > datagram.length) throw outOfRange('message', length, at);
    messages.push({
      type: datagram.readUInt16LE(at + 4),
      flags: datagram.readUInt16LE(at + 6),
      sequence: datagram.readUInt32LE(at + 8),
      payload: datagram.subarray(at + headerBytes, at + length),
    });
    at += aligned(length);
  }
  return messages;
}

/** Renders one attribute, padded to four bytes. A list is the value of a nested one. */
export function encodeAttribute(type: number, value: Buffer | readonly Buffer[]): Buffer {
  const bytes = Buffer.isBuffer(value) ? value : Buffer.concat(value);
  const attribute = Buffer.alloc(aligned(attributeHeaderBytes + bytes.length));
  attribute.writeUInt16LE(attributeHeaderBytes + bytes.length, 0);
  attribute.writeUInt16LE(Buffer.isBuffer(value) ? type : type | nestedFlag, 2);
  bytes.copy(attribute, attributeHeaderBytes);
  return attribute;
}

/** A text attribute, with its final NUL. */
export function encodeText(type: number, text: string): Buffer {
  return encodeAttribute(type, Buffer.from(`${text}\0`));
}

/**
 * Calls `visit` with each attribute that stands in `bytes` from `start` to `end`: its type, and where its value begins
 * and ends. No copies and no list, since a dump has hundreds of thousands of them.
 *
 * @throws RangeError when a length leads out of the range
 */
export function eachAttribute(
  bytes: Buffer,
  start: number,
  end: number,
  visit: (type: number, from: number, to: number) => void,
): void {
  for (let at = start; at + attributeHeaderBytes <= end; ) {
    const length = readNumber16(bytes, at);
    if (length < attributeHeaderBytes || at + length > end) throw outOfRange('attribute', length, at);
    visit(readNumber16(bytes, at + 2) & attributeTypeMask, at + attributeHeaderBytes, at + length);
    at += aligned(length);
  }
}

/** The attributes of some types in a list, as they are, padded. */
export function attributesOf(bytes: Buffer, types: readonly number[]): Buffer {
  const kept: Buffer[] = [];
  eachAttribute(bytes, 0, bytes.length, (type, from, to) => {
    if (!types.includes(type)) return;
    const attribute = bytes.subarray(from - attributeHeaderBytes, to);
    const padding = aligned(attribute.length) - attribute.length;
    kept.push(padding === 0 ? attribute : Buffer.concat([attribute], attribute.length + padding));
  });
  return Buffer.concat(kept);
}

/** A big-endian 64-bit number of at most 2^53. */
export function readNumber64(bytes: Buffer, at: number): number {
  return bytes.readUInt32BE(at) * 2 ** 32 + bytes.readUInt32BE(at + 4);
}

/** The text of a NUL-terminated attribute. */
export function readText(bytes: Buffer, from: number, to: number): string {
  return bytes.toString('utf8', from, bytes[to - 1] === 0 ? to - 1 : to);
}

/** Without Buffer's own check of each place: these are many, and in range. */
function readNumber16(bytes: Buffer, at: number): number {
  return (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8);
}

function aligned(length: number): number {
  return (length + 3) & ~3;
}

function outOfRange(what: string, length: number, at: number): RangeError {
  return new RangeError(`A netlink ${what} of ${length} bytes does not fit at byte ${at}`);
}
