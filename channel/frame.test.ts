import test from 'ava';
import { seeded } from '../e2e/support/seeded.ts';
import { encodeFrame, type Frame, FrameDecoder, maxPayload } from './frame.ts';

/** A decoder, and the frames that it gave. */
function decoding(): { readonly decoder: FrameDecoder; readonly frames: readonly Frame[] } {
  const frames: Frame[] = [];
  return { decoder: new FrameDecoder((frame) => frames.push(frame)), frames };
}

const message = (text: string): Frame => ({ kind: 'message', payload: Buffer.from(text) });
const data = (text: string): Frame => ({ kind: 'data', exec: 513, stream: 2, payload: Buffer.from(text) });

test('encodeFrame() writes length, kind, stream, exec and number, big-endian, then the payload', (t) => {
  t.is(encodeFrame(data('ab'), 258).toString('hex'), `0000000202020201${'00000102'}6162`);
  t.is(encodeFrame(message('{}'), 1).toString('hex'), `0000000201000000${'00000001'}7b7d`);
});

test('encodeFrame() refuses what no decoder takes', (t) => {
  t.throws(() => encodeFrame(data(''), 1), { code: 'BUG' });
  t.throws(() => encodeFrame({ kind: 'message', payload: Buffer.alloc(maxPayload + 1) }, 1), { code: 'BUG' });
});

test('FrameDecoder gives the same frames however the bytes are cut', (t) => {
  const random = seeded(5);
  const frames = Array.from({ length: 200 }, (_, index) =>
    (index % 3 === 0 ? message : data)('x'.repeat(1 + Math.floor(random() * 300))),
  );
  const bytes = Buffer.concat(frames.map((frame, index) => encodeFrame(frame, index + 1)));
  for (const largest of [1, 2, 11, 13, 300, bytes.length]) {
    const { decoder, frames: found } = decoding();
    for (let at = 0; at < bytes.length; ) {
      const size = 1 + Math.floor(random() * largest);
      decoder.push(bytes.subarray(at, at + size));
      at += size;
    }
    t.deepEqual(found, frames, `pieces of up to ${largest}`);
  }
});

test('FrameDecoder hands out payloads that later pieces do not change', (t) => {
  const { decoder, frames } = decoding();
  const piece = encodeFrame(message('first'), 1);
  decoder.push(piece);
  piece.fill(0);
  decoder.push(encodeFrame(message('other'), 2));
  t.is(frames[0]?.payload.toString(), 'first');
});

test('FrameDecoder takes the largest frame', (t) => {
  const payload = Buffer.alloc(maxPayload, 7);
  const { decoder, frames } = decoding();
  decoder.push(encodeFrame({ kind: 'message', payload }, 1));
  t.true(frames[0]?.payload.equals(payload));
});

const header = (length: number, kind: number, stream: number, number: number): Buffer => {
  const bytes = Buffer.alloc(12);
  bytes.writeUInt32BE(length, 0);
  bytes.writeUInt8(kind, 4);
  bytes.writeUInt8(stream, 5);
  bytes.writeUInt32BE(number, 8);
  return bytes;
};
const wrong: Readonly<Record<string, readonly [Buffer, RegExp]>> = {
  'an empty frame': [header(0, 1, 0, 1), /claims 0 bytes/],
  'a frame that is too long': [header(maxPayload + 1, 1, 0, 1), /claims 4194305 bytes/],
  'a frame of 4 GiB': [header(0xffff_ffff, 2, 1, 1), /claims 4294967295 bytes/],
  'a first frame that is not number 1': [header(1, 1, 0, 2), /frame 1 was expected, frame 2 came/],
  'an unknown kind': [header(1, 3, 0, 1), /unknown kind 3/],
  'kind 0': [header(1, 0, 0, 1), /unknown kind 0/],
  'an unknown stream': [header(1, 2, 3, 1), /stream 3/],
  'text of another protocol': [Buffer.from('GET / HTTP/1.1\r\n'), /claims/],
};
for (const [what, [bytes, problem]] of Object.entries(wrong)) {
  test(`FrameDecoder refuses ${what} by its header, before its payload comes`, (t) => {
    t.throws(() => decoding().decoder.push(bytes), { code: 'CHANNEL_PROTOCOL', message: problem });
  });
}

test('FrameDecoder refuses a frame that was lost, doubled or put before another', (t) => {
  for (const numbers of [
    [1, 3],
    [1, 1],
    [1, 2, 4],
    [1, 2, 1],
  ]) {
    const { decoder } = decoding();
    const frames = numbers.map((number) => encodeFrame(message('x'), number));
    t.throws(() => decoder.push(Buffer.concat(frames)), { code: 'CHANNEL_PROTOCOL' }, `${numbers}`);
  }
});

test('FrameDecoder holds no more than one frame, though it comes byte by byte', (t) => {
  const { decoder } = decoding();
  decoder.push(header(maxPayload, 2, 1, 1));
  const before = process.memoryUsage();
  const pieces = 400_000;
  for (let i = 0; i < pieces; i += 1) decoder.push(Buffer.from([i & 255]));
  const after = process.memoryUsage();
  const grown = after.heapUsed + after.external - before.heapUsed - before.external;
  // Kept as pieces, each of them would cost a hundred bytes and more.
  t.true(grown < 40 * pieces, `${grown} bytes`);
});

test('FrameDecoder throws nothing but CHANNEL_PROTOCOL, whatever bytes come', (t) => {
  const random = seeded(6);
  let refused = 0;
  for (let i = 0; i < 3000; i += 1) {
    const bytes = Buffer.concat([encodeFrame(message('abc'), 1), encodeFrame(data('defg'), 2)]);
    for (let n = 0; n < 2; n += 1) bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256);
    try {
      decoding().decoder.push(bytes);
    } catch (error) {
      refused += 1;
      t.is((error as { code?: string }).code, 'CHANNEL_PROTOCOL');
    }
  }
  t.true(refused > 500);
});
