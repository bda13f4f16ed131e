import test from 'ava';
import { isTapwardenError } from '../base/errors.ts';
import { kernelCommandLine } from './kernel-command-line.ts';

test('kernelCommandLine gives an emulated guest what it needs to boot fast and quietly', (t) => {
  t.is(
    kernelCommandLine({ accelerator: 'tcg', tscKhz: 2_596_136, verbose: false }),
    'console=ttyS0 panic=-1 reboot=t quiet loglevel=4 log_buf_len=4M cryptomgr.notests tsc_early_khz=2596136 tsc=reliable mitigations=off nokaslr noreplace-smp initcall_blacklist=init_kprobe_trace,tracer_init_tracefs,trace_eval_init,init_blk_tracer,ftrace_check_for_weak_functions,slab_sysfs_init,load_system_certificate_list,crypto_kdf108_init',
  );
});

test('kernelCommandLine keeps mitigations and address randomisation on a real processor', (t) => {
  t.notRegex(kernelCommandLine({ accelerator: 'kvm', tscKhz: 2_596_136, verbose: false }), /mitigations|nokaslr/);
});

test('kernelCommandLine asks for boot messages and for a probe', (t) => {
  const words = kernelCommandLine({ accelerator: 'kvm', tscKhz: 2_000_000, verbose: true, probe: true }).split(' ');
  t.true(words.includes('loglevel=7') && words.includes('tapwarden.probe') && !words.includes('quiet'));
});

for (const tscKhz of [0, -1, 99_999, 20_000_001, 2_596_136.5, Number.NaN]) {
  test(`kernelCommandLine refuses a counter of ${tscKhz} kHz`, (t) => {
    const error = t.throws(() => kernelCommandLine({ accelerator: 'tcg', tscKhz, verbose: false }));
    t.true(isTapwardenError(error, 'BUG'));
  });
}
