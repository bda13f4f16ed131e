import test from 'ava';
import { judgeDmesg, judgeJail, judgeJailLimits } from './judge-jail.ts';

test('judgeJail: what is lacking is named, and keeps no virtual machine from running', (t) => {
  t.is(judgeJail([{ what: 'overlayfs', works: true }], true).level, 'ok');
  const lacking = judgeJail(
    [
      { what: 'overlayfs', works: false },
      { what: 'bwrap', works: true },
    ],
    true,
  );
  t.is(lacking.level, 'warn');
  t.is(lacking.found, 'the host lacks overlayfs');
  t.regex(judgeJail([], false).todo ?? '', /--allow-unlogged/);
});

test('judgeJailLimits: controllers that are missing are named', (t) => {
  t.is(judgeJailLimits([]).level, 'ok');
  t.regex(judgeJailLimits(['cpu', 'memory']).found, /for cpu, memory:/);
});

test('judgeDmesg: a kernel log that everybody reads is to know of', (t) => {
  t.is(judgeDmesg('1\n').level, 'ok');
  t.is(judgeDmesg('0\n').level, 'warn');
});
