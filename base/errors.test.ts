import test from 'ava';
import { assertNever, errnoOf, errorCodes, isTapwardenError, messageOf, TapwardenError } from './errors.ts';

test('TapwardenError carries code, message with its hint on the next line, details and cause', (t) => {
  const cause = new Error('below');
  const error = new TapwardenError('NOT_ROOT', {
    message: 'It needs root',
    hint: 'Use sudo.',
    details: { uid: 1 },
    cause,
  });
  t.is(error.code, 'NOT_ROOT');
  t.is(error.message, 'It needs root\nUse sudo.');
  t.is(error.hint, 'Use sudo.');
  t.deepEqual(error.details, { uid: 1 });
  t.is(error.cause, cause);
  t.is(error.name, 'TapwardenError');
  t.deepEqual(new TapwardenError('BUG', { message: 'x' }).details, {});
});

test('isTapwardenError() tells the class, and the code where one is asked for', (t) => {
  const error = new TapwardenError('BUG', { message: 'x' });
  t.true(isTapwardenError(error));
  t.true(isTapwardenError(error, 'BUG'));
  t.false(isTapwardenError(error, 'NOT_ROOT'));
  t.false(isTapwardenError({ code: 'BUG', message: 'x' }));
  t.false(isTapwardenError(undefined));
});

test('messageOf() and errnoOf() take whatever was thrown', (t) => {
  t.is(messageOf(new Error('x')), 'x');
  t.is(messageOf('plain'), 'plain');
  t.is(messageOf(undefined), 'undefined');
  t.is(errnoOf(Object.assign(new Error('x'), { code: 'ENOENT' })), 'ENOENT');
  for (const thrown of [null, undefined, 'ENOENT', {}, { code: 2 }]) t.is(errnoOf(thrown), undefined);
});

test('assertNever() throws BUG when it is reached', (t) => {
  t.throws(() => assertNever('new' as never), { code: 'BUG', message: /"new"/ });
});

test('errorCodes: each code is a word of capitals, each meaning one sentence', (t) => {
  for (const [code, meaning] of Object.entries(errorCodes)) {
    t.regex(code, /^[A-Z]+(_[A-Z]+)*$/);
    t.regex(meaning, /^[A-Z].*\.$|^tapwarden .*\.$|^nft .*\.$/);
  }
});
