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
 * Every instruction that the kernel rewrites in itself makes the emulator translate its page anew. Taking the lock
 * prefixes out, which one processor could do without, costs 0.3 s of a boot; so does what prepares kernel probes 0.1 s.
 */
const withoutPatching = ['noreplace-smp', 'initcall_blacklist=init_kprobe_trace'];

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
    // An emulated processor does not speculate, and its addresses do not protect the emulator.
    ...(accelerator === 'tcg' ? ['mitigations=off', 'nokaslr', ...withoutPatching] : []),
    ...(probe ? [probeArgument] : []),
  ].join(' ');
}
