import test from 'ava';
import {
  eachAttribute,
  encodeAttribute,
  encodeMessage,
  encodeText,
  netlinkFlags,
  parseMessages,
  readNumber64,
  readText,
} from './netlink-message.ts';

test('encodeMessage() renders the header as struct nlmsghdr has it', (t) => {
  const bytes = encodeMessage({ type: 0xa13, flags: 0x301, sequence: 7, payload: Buffer.from([1, 0, 0, 0]) });
  t.is(bytes.toString('hex'), '14000000130a0103070000000000000001000000');
});

test('parseMessages() is the inverse, for several messages of odd lengths in one datagram', (t) => {
  const messages = [
    { type: 1, flags: netlinkFlags.multi, sequence: 5, payload: Buffer.from('abcde') },
    { type: 3, flags: netlinkFlags.dumpInterrupted, sequence: 6, payload: Buffer.alloc(4) },
  ];
  const padded = messages.map((message) => {
    const bytes = encodeMessage(message);
    return Buffer.concat([bytes, Buffer.alloc(-bytes.length & 3)]);
  });
  t.deepEqual(parseMessages(Buffer.concat(padded)), messages);
  t.deepEqual(parseMessages(Buffer.alloc(0)), []);
});

test('parseMessages() takes no message that is longer than its datagram, or shorter than its header', (t) => {
  const bytes = encodeMessage({ type: 1, flags: 0, sequence: 1, payload: Buffer.alloc(8) });
  for (const length of [0, 15, 25, 0xffff_ffff]) {
    const broken = Buffer.from(bytes);
    broken.writeUInt32LE(length, 0);
    t.throws(() => parseMessages(broken), { instanceOf: RangeError }, String(length));
  }
});

test('eachAttribute() reads what encodeAttribute() and encodeText() render, nested ones too', (t) => {
  const inner = [encodeText(1, 'name'), encodeAttribute(2, Buffer.from([0, 0, 0, 1, 0, 0, 0, 2]))];
  const bytes = Buffer.concat([encodeAttribute(9, Buffer.from([255])), encodeAttribute(4, inner)]);
  const seen: unknown[] = [];
  eachAttribute(bytes, 0, bytes.length, (type, from, to) => {
    if (type !== 4) return void seen.push([type, bytes[from], to - from]);
    eachAttribute(bytes, from, to, (part, begin, end) => {
      seen.push([type, part, part === 1 ? readText(bytes, begin, end) : readNumber64(bytes, begin)]);
    });
  });
  t.deepEqual(seen, [
    [9, 255, 1],
    [4, 1, 'name'],
    [4, 2, 2 ** 32 + 2],
  ]);
});

test('eachAttribute() takes no attribute that leads out of its range', (t) => {
  const bytes = encodeText(1, 'name');
  t.throws(() => eachAttribute(bytes, 0, 8, () => undefined), { instanceOf: RangeError });
  const empty = Buffer.from([3, 0, 1, 0]);
  t.throws(() => eachAttribute(empty, 0, 4, () => undefined), { instanceOf: RangeError });
});
