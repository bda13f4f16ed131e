/** One record of /dev/kmsg. Source: Documentation/ABI/testing/dev-kmsg. */
export type KernelLogRecord = {
  /** syslog facility: 0 is the kernel itself; what a program writes to /dev/kmsg is 1 or higher, always. */
  readonly facility: number;
  readonly sequence: number;
  /** Microseconds since boot. */
  readonly microseconds: number;
  readonly text: string;
};

// No continuation fragments ("c" and "+" in the flags): a log rule's line is one record.
const header = /^(\d{1,4}),(\d{1,19}),(\d{1,19}),[-c+](?:,[^;]*)?;(.*)$/s;

/**
 * Parses one record, without the dictionary lines that may follow it.
 *
 * Example: `6,251,2385494,-;TW1 … IN= OUT=eth0 …` is facility 0, sequence 251, 2.385494 s after boot. Returns
 * `undefined` for what is not a record.
 */
export function parseKernelLogRecord(line: string): KernelLogRecord | undefined {
  const match = header.exec(line);
  if (match === null) return undefined;
  const [, priority, sequence, microseconds, text] = match;
  return {
    facility: Number(priority) >> 3,
    sequence: Number(sequence),
    microseconds: Number(microseconds),
    text: text ?? '',
  };
}

/** `2385494` as `'2.385494'`: seconds with microseconds. */
export function formatMonotonic(microseconds: number): string {
  return `${Math.floor(microseconds / 1_000_000)}.${String(microseconds % 1_000_000).padStart(6, '0')}`;
}
