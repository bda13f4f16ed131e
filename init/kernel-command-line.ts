import { TapwardenError } from '../base/errors.ts';
import { probeArgument } from './contract.ts';

/** What the kernel is told at boot. */
export type KernelCommandLineOptions = {
  /** Whether the guest runs by emulation or on the host's processor. */
  readonly accelerator: 'tcg' | 'kvm';
  /** The rate of the guest's time-stamp counter in kHz, which is the host's. See `parseTscKhz`. Example: 2596136. */
  readonly tscKhz: number;
  /** Prints the kernel's boot messages on the serial console. */
  readonly verbose: boolean;
  /** The guest only answers `tapwarden-probe-ok` and powers off. @default false */
  readonly probe?: boolean;
};

/**
 * Steps of the kernel's start that no guest here needs, and that an emulated one takes 0.3 s for: what can be traced, which nobody
 * does; the attributes of each kind of kernel memory under /sys; certificates for signatures that our modules do not have; a cipher's
 * self-test. The kernel passes over names that it does not have.
 */
const skippedInitcalls = [
  ...[
    'init_kprobe_trace',
    'tracer_init_tracefs',
    'trace_eval_init',
    'init_blk_tracer',
    'ftrace_check_for_weak_functions',
  ],
  ...['slab_sysfs_init', 'load_system_certificate_list', 'crypto_kdf108_init'],
];

/** For an emulated processor alone. */
const underEmulation = [
  // It does not speculate, and its addresses do not protect the emulator.
  ...['mitigations=off', 'nokaslr'],
  // Each instruction that the kernel rewrites in itself makes the emulator translate its page anew. To take the lock prefixes out,
  // which one processor could do without, costs 0.3 s.
  'noreplace-smp',
  `initcall_blacklist=${skippedInitcalls.join()}`,
];

/**
 * The command line of the guest's kernel.
 *
 * Example: `console=ttyS0 panic=-1 reboot=t quiet loglevel=4 log_buf_len=4M cryptomgr.notests tsc_early_khz=2596136 …`.
 *
 * @throws BUG when `tscKhz` is no plausible rate (0.1 to 20 GHz)
 * Source: Documentation/admin-guide/kernel-parameters.txt, Linux 6.1
 */
export function kernelCommandLine(options: KernelCommandLineOptions): string {
  const { accelerator, tscKhz, verbose, probe = false } = options;
  if (!Number.isInteger(tscKhz) || tscKhz < 100_000 || tscKhz > 20_000_000) {
    throw new TapwardenError('BUG', {
      message: `The time-stamp counter's rate must be 100000 to 20000000 kHz: current value is ${tscKhz}`,
      details: { tscKhz },
    });
  }
  return [
    'console=ttyS0',
    // A panic ends the VM at once instead of leaving it standing: QEMU runs with -no-reboot.
    'panic=-1',
    'reboot=t',
    // The fence logs at level 6. Level 4 keeps its lines off the serial console, where each would take about 1 ms.
    ...(verbose ? ['loglevel=7'] : ['quiet', 'loglevel=4']),
    // Room for a burst of log lines while the supervisor does not read.
    'log_buf_len=4M',
    // The self-tests of ciphers take 0.3 s of each boot under emulation.
    'cryptomgr.notests',
    // The microvm machine has no timer to calibrate against, and without these one boot in three hangs.
    `tsc_early_khz=${tscKhz}`,
    'tsc=reliable',
    ...(accelerator === 'tcg' ? underEmulation : []),
    ...(probe ? [probeArgument] : []),
  ].join(' ');
}
