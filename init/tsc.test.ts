import test from 'ava';
import { parseTscKhz } from './tsc.ts';

const rates = test.macro({
  exec: (t, cpuinfo: string, want: number | undefined) => t.is(parseTscKhz(cpuinfo), want),
  title: (title) => `parseTscKhz ${title}`,
});

test(
  'takes the measured rate in a virtual machine',
  rates,
  'model name\t: Intel(R) Xeon(R) CPU @ 2.20GHz\ncpu MHz\t\t: 2596.136\nflags\t\t: fpu tsc hypervisor lahf_lm\n',
  2_596_136,
);
test(
  'takes the nominal rate on bare metal, where the clock varies',
  rates,
  'model name\t: Intel(R) Core(TM) i7-8550U CPU @ 1.80GHz\ncpu MHz\t\t: 3912.004\nflags\t\t: fpu tsc\n',
  1_800_000,
);
test(
  'takes the clock of the moment where nothing better is said',
  rates,
  'model name\t: AMD EPYC 7742 64-Core Processor\ncpu MHz\t\t: 2250.000\nflags\t\t: fpu tsc\n',
  2_250_000,
);
test('says nothing where the text says nothing', rates, 'processor\t: 0\n', undefined);
