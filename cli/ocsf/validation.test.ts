import { Readable } from 'node:stream';
import test from 'ava';
import { maxLineBytes } from '../../ocsf/index.ts';
import { type LineError, maxClasses, validateLines } from './validation.ts';

async function validated(text: string, pieceSize: number) {
  const bytes = Buffer.from(text);
  const count = Math.ceil(bytes.length / pieceSize);
  const pieces = Array.from({ length: count }, (_, at) => bytes.subarray(at * pieceSize, (at + 1) * pieceSize));
  const errors: LineError[] = [];
  const onError = (error: LineError): void => void errors.push(error);
  const verdict = await validateLines(Readable.from(pieces), { version: undefined, onError });
  return { verdict, errors };
}

test('validateLines: says the same however the file is cut into pieces', async (t) => {
  const text = '{"class_uid":3002}\n\nnot json\n{"class_uid":-1}\n{"class_uid":3002}';
  for (const size of [1, 7, 1000]) {
    const { verdict, errors } = await validated(text, size);
    t.like(verdict, { valid: 0, invalid: 2, unknown: 2, errors: 2 });
    t.deepEqual([...verdict.unknownClasses], [[3002, 2]]);
    t.deepEqual(
      errors.map(({ line, rule }) => `${line} ${rule}`),
      ['3 json', '4 class'],
    );
  }
});

test('validateLines: a line longer than any event is invalid and does not hide the next one', async (t) => {
  const { verdict, errors } = await validated(`"${'x'.repeat(3 * maxLineBytes)}"\n{"class_uid":3002}\n`, 65_536);
  t.like(verdict, { invalid: 1, unknown: 1 });
  t.regex(errors[0]?.message ?? '', /longer than/);
});

test('validateLines: very many classes are counted in bounded memory', async (t) => {
  const text = Array.from({ length: maxClasses + 50 }, (_, at) => `{"class_uid":${at + 10_000}}\n`).join('');
  const { verdict } = await validated(text, 65_536);
  t.is(verdict.unknown, maxClasses + 50);
  t.is(verdict.unknownClasses.size, maxClasses);
});

test('validateLines: no event at all is no error', async (t) => {
  t.like((await validated('', 1)).verdict, { valid: 0, invalid: 0, unknown: 0, errors: 0 });
});
