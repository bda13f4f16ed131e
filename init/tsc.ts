/**
 * The rate of the host's time-stamp counter in kHz, from the text of `/proc/cpuinfo`; `undefined` where it does not say.
 *
 * In a virtual machine `cpu MHz` is the rate that the kernel measured at boot. On bare metal it is the clock of the
 * moment, so there the nominal rate in the model's name goes first: `… CPU @ 2.60GHz` is 2600000. A rate that is
 * somewhat wrong makes the guest's clock run fast or slow; it does not keep the guest from booting.
 *
 * Source: proc_cpuinfo(5); arch/x86/kernel/cpu/proc.c
 */
export function parseTscKhz(cpuinfo: string): number | undefined {
  const measured = /^cpu MHz\s*:\s*(\d+(?:\.\d+)?)$/m.exec(cpuinfo)?.[1];
  const nominal = /^model name\s*:.*@ (\d+(?:\.\d+)?)GHz$/m.exec(cpuinfo)?.[1];
  const virtual = /^flags\s*:.*\bhypervisor\b/m.test(cpuinfo);
  if (nominal !== undefined && !virtual) return Math.round(Number(nominal) * 1_000_000);
  if (measured !== undefined) return Math.round(Number(measured) * 1000);
  return nominal === undefined ? undefined : Math.round(Number(nominal) * 1_000_000);
}
