import test from 'ava';
import { isTapwardenError } from '../base/errors.ts';
import { parseLdd } from './shared-libraries.ts';

test('parseLdd lists each library once, and loaders apart', (t) => {
  const output = [
    '/usr/bin/a:',
    '\tlinux-vdso.so.1 (0x00007f06403e1000)',
    '\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f063fe1e000)',
    '\t/lib64/ld-linux-x86-64.so.2 (0x00007f06403e3000)',
    '/usr/bin/b:',
    '\tnot a dynamic executable',
    '/usr/bin/c:',
    '\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f063fe1e000)',
    '',
  ].join('\n');
  t.deepEqual(parseLdd(output), {
    libraries: ['/lib/x86_64-linux-gnu/libc.so.6'],
    loaders: ['/lib64/ld-linux-x86-64.so.2'],
  });
});

test('parseLdd refuses a library that is not installed', (t) => {
  const error = t.throws(() => parseLdd('\tlibx.so.1 => not found\n'));
  t.true(isTapwardenError(error, 'IMAGE_BUILD_FAILED'));
  t.regex(error?.message ?? '', /libx\.so\.1/);
});
