import test from 'ava';
import { isTapwardenError } from '../base/errors.ts';
import { parseKernelPackage } from './kernel-package.ts';

test('parseKernelPackage finds the kernel that the newest package depends on', (t) => {
  const shown = 'Package: linux-image-cloud-amd64\nVersion: 6.1.192-2\nDepends: linux-image-6.1.0-56-cloud-amd64';
  const want = { name: 'linux-image-6.1.0-56-cloud-amd64', version: '6.1.192-2' };
  t.deepEqual(parseKernelPackage(`${shown} (= 6.1.192-2)\n`), want);
  t.deepEqual(parseKernelPackage(`${shown}\n`), want);
});

test('parseKernelPackage says what to do where apt knows none', (t) => {
  const error = t.throws(() => parseKernelPackage(''));
  t.true(isTapwardenError(error, 'IMAGE_BUILD_FAILED'));
  t.regex(error?.message ?? '', /apt-get update/);
});
