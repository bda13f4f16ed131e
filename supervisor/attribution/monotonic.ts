/** Milliseconds of CLOCK_MONOTONIC, the clock of the kernel's process events. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
