import test from 'ava';
import { mutate, seeded } from '../e2e/support/seeded.ts';
import { decodeLogPrefix, encodeLogPrefix, makeLogTag } from './log-prefix.ts';

test('encodeLogPrefix() and decodeLogPrefix() are inverse, for tags of 8 to 32 characters', (t) => {
  for (const tag of ['k3j9x2ab', 'a'.repeat(32), '00000000']) {
    const prefix = encodeLogPrefix({ tag });
    t.is(prefix, `TW1 ${tag} deny `);
    t.true(Buffer.byteLength(prefix) <= 127);
    t.is(decodeLogPrefix(`${prefix}IN= OUT=eth0`, { tag }), 'IN= OUT=eth0');
    t.is(decodeLogPrefix(prefix, { tag }), '');
  }
});

for (const tag of ['', 'short12', 'a'.repeat(33), 'UPPERCASE', 'with space', 'quote"123', 'newline1\n', 'ünicode1']) {
  test(`encodeLogPrefix() refuses the tag ${JSON.stringify(tag)}`, (t) => {
    t.throws(() => encodeLogPrefix({ tag }), { code: 'RULESET_INVALID' });
    t.throws(() => decodeLogPrefix('TW1', { tag }), { code: 'RULESET_INVALID' });
  });
}

test('decodeLogPrefix() takes the prefix at the start alone, with the very tag', (t) => {
  const tag = 'k3j9x2ab';
  const line = `${encodeLogPrefix({ tag })}IN= OUT=eth0`;
  for (const other of [
    ` ${line}`,
    `x${line}`,
    `\n${line}`,
    line.toLowerCase(),
    line.replace('deny', 'allow'),
    'TW1',
    '',
  ]) {
    t.is(decodeLogPrefix(other, { tag }), undefined, other);
  }
  t.is(decodeLogPrefix(line, { tag: 'k3j9x2ac' }), undefined);
  t.is(decodeLogPrefix(line, { tag: 'k3j9x2abc' }), undefined);
});

test('decodeLogPrefix() takes no prefix that was changed by a byte', (t) => {
  const random = seeded(3);
  const tag = 'k3j9x2ab';
  const prefix = encodeLogPrefix({ tag });
  let changed = 0;
  for (let i = 0; i < 20_000; i += 1) {
    const line = mutate(random, prefix);
    if (line.startsWith(prefix)) continue;
    changed += 1;
    t.is(decodeLogPrefix(`${line}IN= OUT=eth0`, { tag }), undefined);
  }
  t.true(changed > 15_000);
});

test('makeLogTag() gives 16 characters of the alphabet, each by 5 bits of its byte', (t) => {
  t.is(makeLogTag(new Uint8Array(16)), 'a'.repeat(16));
  t.is(makeLogTag(Uint8Array.from({ length: 16 }, (_, index) => 240 + index)), 'qrstuvwxyz234567');
  t.is(makeLogTag(new Uint8Array(40).fill(31)), '7'.repeat(16));
  t.notThrows(() => encodeLogPrefix({ tag: makeLogTag(new Uint8Array(16).fill(7)) }));
});
