import test from 'ava';
import { seeded } from '../e2e/support/seeded.ts';
import { escapeText, quoteText, sanitizeText } from './escape.ts';

/** One of each class of character that changes what a terminal or a person sees. */
const hostile: Readonly<Record<string, readonly [string, string]>> = {
  'a backslash': ['\\', '\\\\'],
  'a newline': ['\n', '\\n'],
  'a carriage return': ['\r', '\\r'],
  'a tab': ['\t', '\\t'],
  NUL: ['\0', '\\x00'],
  ESC: ['\x1b[31m', '\\x1b[31m'],
  DEL: ['\x7f', '\\x7f'],
  'C1 CSI': ['\x9b', '\\x9b'],
  'C1 next line': ['\x85', '\\x85'],
  'a soft hyphen': ['\u00ad', '\\xad'],
  'an Arabic letter mark': ['\u061c', '\\u{61c}'],
  'a zero-width space': ['\u200b', '\\u{200b}'],
  'a zero-width joiner': ['\u200d', '\\u{200d}'],
  'a right-to-left mark': ['\u200f', '\\u{200f}'],
  'a line separator': ['\u2028', '\\u{2028}'],
  'a paragraph separator': ['\u2029', '\\u{2029}'],
  'a right-to-left override': ['\u202e', '\\u{202e}'],
  'a left-to-right isolate': ['\u2066', '\\u{2066}'],
  'a byte order mark': ['\ufeff', '\\u{feff}'],
  'an interlinear annotation': ['\ufff9', '\\u{fff9}'],
  'a Hangul filler': ['\u3164', '\\u{3164}'],
  'a halfwidth Hangul filler': ['\uffa0', '\\u{ffa0}'],
  'a combining grapheme joiner': ['\u034f', '\\u{34f}'],
  'a variation selector': ['\ufe0f', '\\u{fe0f}'],
  'a tag character': ['\u{e0041}', '\\u{e0041}'],
  'a musical format character': ['\u{1d173}', '\\u{1d173}'],
  'a lone high surrogate': ['\ud800', '\\u{d800}'],
  'a lone low surrogate': ['\udc00', '\\u{dc00}'],
  'swapped surrogates': ['\udc00\ud800', '\\u{dc00}\\u{d800}'],
};

for (const [name, [text, escaped]] of Object.entries(hostile)) {
  test(`escapeText() escapes ${name}`, (t) => {
    t.is(escapeText(`a${text}b`), `a${escaped}b`);
    t.is(sanitizeText(text), text === '\\' ? '\\' : escaped);
  });
}

test('escapeText() leaves what people write as it is', (t) => {
  const plain = 'Grüße, 世界! мир 👍 العربية "quoted" \'x\' <a&b> $(c) %s';
  t.is(escapeText(plain), plain);
});

test('escapeText() lets no character through that is a control, a format, a separator, a lone half, or invisible', (t) => {
  const bad: string[] = [];
  for (let point = 0; point <= 0x10ffff; point += 1) {
    const character = String.fromCodePoint(point);
    if (!/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/u.test(character)) continue;
    if (!/^\\[xu{}\da-fnrt]+$/.test(escapeText(character))) bad.push(point.toString(16));
  }
  t.deepEqual(bad, []);
});

test('escapeText() is injective: two texts never look the same', (t) => {
  const random = seeded(1);
  const alphabet = ['\\', 'n', '\n', 'x', '0', '\0', 'u', '{', '}', '2', '\u202e', 'e'];
  const seen = new Map<string, string>();
  for (let i = 0; i < 20_000; i += 1) {
    const text = Array.from({ length: 1 + Math.floor(random() * 8) }, () => alphabet[Math.floor(random() * 12)]).join(
      '',
    );
    const before = seen.get(escapeText(text));
    if (before !== undefined && before !== text) t.fail(`${JSON.stringify(text)} and ${JSON.stringify(before)}`);
    seen.set(escapeText(text), text);
  }
  t.true(seen.size > 10_000);
});

test('escapeText() cuts longer text and says so, also in the middle of a pair', (t) => {
  t.is(escapeText('abcdef', 3), 'abc…');
  t.is(escapeText('abc', 3), 'abc');
  t.is(escapeText('ab👍', 3), 'ab\\u{d83d}…');
  t.is(escapeText('x'.repeat(10_000)).length, 4097);
});

test('sanitizeText() changes nothing that escapeText() made, and nothing a second time', (t) => {
  const random = seeded(2);
  const pieces = ['\\', '\\\\', 'n', '\n', '\x1b', '\u202e', 'a', '\\x1b', '\ud800', '"', ' '];
  for (let i = 0; i < 5000; i += 1) {
    const text = Array.from({ length: 6 }, () => pieces[Math.floor(random() * pieces.length)]).join('');
    t.is(sanitizeText(escapeText(text)), escapeText(text));
    t.is(sanitizeText(sanitizeText(text)), sanitizeText(text));
    t.notRegex(sanitizeText(text), /[\p{Cc}\p{Cf}\p{Cs}]/u);
  }
});

test('quoteText() quotes what holds spaces or quotes, or is empty, and nothing else', (t) => {
  t.is(quoteText('plain'), 'plain');
  t.is(quoteText(''), '""');
  t.is(quoteText('two words'), '"two words"');
  t.is(quoteText('say "x"'), '"say \\"x\\""');
  t.is(quoteText('no\u00a0break'), '"no\u00a0break"');
  t.is(quoteText('a\nb'), 'a\\nb');
});
