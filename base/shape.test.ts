import test from 'ava';
import { isTapwardenError } from './errors.ts';
import {
  dictionary,
  flag,
  integer,
  list,
  nullable,
  object,
  oneOf,
  readShape,
  type Shape,
  text,
  unchecked,
  union,
} from './shape.ts';

const read = <T>(shape: Shape<T>, value: unknown): T => readShape(shape, value, 'The value', 'CHANNEL_PROTOCOL');

/** What is wrong with a value, as `path: message`; `undefined` when it passes. */
function refusal(shape: Shape<unknown>, value: unknown): string | undefined {
  try {
    read(shape, value);
    return undefined;
  } catch (error) {
    if (!isTapwardenError(error, 'CHANNEL_PROTOCOL')) throw error;
    return `${error.details['path']}: ${error.message.replace('The value does not have the form that it must have: ', '')}`;
  }
}

const pair = object({ name: text(5), port: integer(1, 65_535) });

const good: readonly (readonly [string, Shape<unknown>, unknown])[] = [
  ['text()', text(3), 'abc'],
  ['text() with a pattern', text(3, /^a+$/), 'aaa'],
  ['integer()', integer(0, 10), 10],
  ['flag', flag, false],
  ['oneOf()', oneOf('a', 'b'), 'b'],
  ['nullable()', nullable(flag), null],
  ['list()', list(flag, 2), [true, false]],
  ['dictionary()', dictionary(integer(0), 2), { a: 1, b: 2 }],
  ['object()', pair, { name: 'x', port: 80 }],
  ['union()', union({ a: object({ kind: oneOf('a') }) }), { kind: 'a' }],
  ['unchecked', unchecked, { any: ['thing'] }],
];
for (const [name, shape, value] of good) {
  test(`${name} returns what fits`, (t) => {
    t.deepEqual(read(shape, value), value);
  });
}

const bad: readonly (readonly [string, Shape<unknown>, unknown, string])[] = [
  ['text() a number', text(3), 7, '$: $ must be a string, found 7'],
  ['text() what is too long', text(3), 'abcd', '$: $ must be at most 3 characters, found "\\"abcd\\""'],
  ['text() what does not match', text(3, /^a+$/), 'b', '$: $ must be a string like ^a+$, found "\\"b\\""'],
  ['integer() what is below', integer(1, 2), 0, '$: $ must be a whole number from 1 to 2, found 0'],
  ['integer() what is above', integer(1, 2), 3, '$: $ must be a whole number from 1 to 2, found 3'],
  ['integer() a fraction', integer(1, 2), 1.5, '$: $ must be a whole number from 1 to 2, found 1.5'],
  ['integer() a text', integer(1, 2), '1', '$: $ must be a whole number from 1 to 2, found "\\"1\\""'],
  ['integer() NaN', integer(1, 2), Number.NaN, '$: $ must be a whole number from 1 to 2, found NaN'],
  ['flag a word', flag, 'true', '$: $ must be true or false, found "\\"true\\""'],
  ['oneOf() another word', oneOf('a', 'b'), 'c', '$: $ must be a or b, found "\\"c\\""'],
  ['nullable() nothing', nullable(flag), undefined, '$: $ must be true or false, found nothing'],
  ['list() an object', list(flag, 2), {}, '$: $ must be a list of at most 2 values, found an object'],
  [
    'list() one too many',
    list(flag, 2),
    [true, true, true],
    '$: $ must be a list of at most 2 values, found a list of 3 values',
  ],
  ['list() a wrong item', list(flag, 2), [true, 1], '$[1]: $[1] must be true or false, found 1'],
  [
    'dictionary() a list',
    dictionary(flag, 1),
    [],
    '$: $ must be an object of at most 1 keys, found a list of 0 values',
  ],
  [
    'dictionary() one too many',
    dictionary(flag, 1),
    { a: true, b: true },
    '$: $ must be an object of at most 1 keys, found an object',
  ],
  ['dictionary() a wrong value', dictionary(flag, 1), { a: 1 }, '$.a: $.a must be true or false, found 1'],
  ['object() null', pair, null, '$: $ must be an object, found null'],
  [
    'object() a missing key',
    pair,
    { name: 'x' },
    '$.port: $.port must be a whole number from 1 to 65535, found nothing',
  ],
  ['object() an extra key', pair, { name: 'x', port: 1, more: 2 }, '$.more: $.more must be no such key, found 2'],
  [
    'union() another kind',
    union({ a: flag, b: flag }),
    { kind: 'c' },
    '$.kind: $.kind must be a or b, found "\\"c\\""',
  ],
  ['union() no object', union({ a: flag }), 'a', '$.kind: $.kind must be a, found nothing'],
  [
    'union() the name of a method',
    union({ a: flag }),
    { kind: 'toString' },
    '$.kind: $.kind must be a, found "\\"toString\\""',
  ],
];
for (const [name, shape, value, message] of bad) {
  test(`${name} is refused with its path`, (t) => {
    t.is(refusal(shape, value), message);
  });
}

test('object() refuses keys that reach for prototypes, and takes none of a value from its prototype', (t) => {
  for (const key of ['__proto__', 'constructor', 'prototype', 'toString']) {
    t.regex(refusal(pair, JSON.parse(`{"name":"x","port":1,"${key}":{"polluted":1}}`)) ?? '', /must be no such key/);
  }
  t.is((Object.prototype as Record<string, unknown>)['polluted'], undefined);
  t.regex(refusal(pair, Object.create({ name: 'x', port: 1 })) ?? '', /\$\.name must be a string, found nothing/);
});

test('dictionary() keeps a key named __proto__ as a plain key', (t) => {
  const value = read(dictionary(text(9), 3), JSON.parse('{"__proto__":"x","a":"b"}'));
  t.deepEqual(Object.entries(value), [
    ['__proto__', 'x'],
    ['a', 'b'],
  ]);
  t.is(Object.getPrototypeOf(value), Object.prototype);
});

test('readShape() escapes and bounds what it shows of a hostile value', (t) => {
  const message = refusal(dictionary(flag, 9), { ['\x1b[2J'.repeat(1000)]: '\u202e'.repeat(100_000) }) ?? '';
  t.true(message.length < 3000);
  t.notRegex(message.slice(message.indexOf(':') + 1), /[\p{Cc}\p{Cf}]/u);
});

test('readShape() refuses a value of any depth without falling over', (t) => {
  const deep: unknown = JSON.parse('['.repeat(100_000) + ']'.repeat(100_000));
  t.is(refusal(pair, deep), '$: $ must be an object, found a list of 1 values');
  t.is(refusal(pair, { name: deep, port: 1 }), '$.name: $.name must be a string, found a list of 1 values');
});

test('readShape() passes errors on that are none of its own', (t) => {
  const broken: Shape<never> = () => {
    throw new TypeError('broken');
  };
  t.throws(() => read(broken, 1), { instanceOf: TypeError });
});
