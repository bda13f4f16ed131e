import test from 'ava';
import { isTapwardenError } from '../base/errors.ts';
import { decompressLz4Legacy, lz4LegacyMagic } from './lz4.ts';

/** A frame of blocks that are given as bytes. */
function frame(...blocks: readonly (readonly number[])[]): Uint8Array {
  const bytes = blocks.flatMap((block) => [block.length & 255, block.length >> 8, 0, 0, ...block]);
  return Uint8Array.from([...lz4LegacyMagic, ...bytes]);
}

const ascii = (text: string): readonly number[] => [...Buffer.from(text)];

const frames = test.macro({
  exec: (t, bytes: Uint8Array, want: string) =>
    t.is(Buffer.from(decompressLz4Legacy(bytes, want.length)).toString('latin1'), want),
  title: (title) => `decompressLz4Legacy reads ${title}`,
});

test('literals alone', frames, frame([0x50, ...ascii('hello')]), 'hello');
test('a match', frames, frame([0x40, ...ascii('abcd'), 4, 0, 0x50, ...ascii('abcde')]), 'abcdabcdabcde');
test(
  'a match that overlaps what it writes',
  frames,
  frame([0x14, ...ascii('a'), 1, 0, 0x10, ...ascii('b')]),
  'aaaaaaaaab',
);
test('lengths beyond four bits', frames, frame([0xf0, 1, ...ascii('0123456789abcdef')]), '0123456789abcdef');
test('several blocks', frames, frame([0x20, ...ascii('ab')], [0x20, ...ascii('cd')]), 'abcd');

const damage = test.macro({
  exec: (t, bytes: Uint8Array, size: number) => {
    const error = t.throws(() => decompressLz4Legacy(bytes, size));
    t.true(isTapwardenError(error, 'IMAGE_BUILD_FAILED'), String(error));
  },
  title: (title) => `decompressLz4Legacy refuses ${title}`,
});

test('another magic number', damage, Uint8Array.of(4, 0x22, 0x4d, 0x18), 1);
test('a frame that ends early', damage, frame([0x20, ...ascii('ab')]), 3);
test('a block longer than the frame', damage, Uint8Array.from([...lz4LegacyMagic, 9, 0, 0, 0, 0x10]), 1);
test('more output than was announced', damage, frame([0x50, ...ascii('hello')]), 4);
test('a match before the start', damage, frame([0x14, 97, 2, 0, 0x10, 98]), 10);
test('a match of distance zero', damage, frame([0x14, 97, 0, 0, 0x10, 98]), 10);
test('literals that are not there', damage, frame([0x50, 97]), 5);

test('decompressLz4Legacy ends in time on random bytes, with bytes or with its own error', (t) => {
  // A linear congruential generator, so that a failure can be repeated. Source: Numerical Recipes, ch. 7
  let state = 1;
  const nextByte = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state >>> 24;
  };
  for (let round = 0; round < 200; round += 1) {
    const bytes = frame(Array.from({ length: 200 }, nextByte));
    try {
      t.is(decompressLz4Legacy(bytes, 4096).length, 4096);
    } catch (error) {
      t.true(isTapwardenError(error, 'IMAGE_BUILD_FAILED'));
    }
  }
});
