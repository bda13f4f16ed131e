import { getSystemErrorName } from 'node:util';
import { TapwardenError } from './errors.ts';
import { loadLibc } from './libc.ts';

/** `SYSLOG_ACTION_SIZE_BUFFER`. Source: syslog(2). */
const sizeOfBuffer = 10;

/**
 * The size of the kernel's log in bytes. What is written beyond it overwrites what was not read.
 *
 * @throws LOG_UNAVAILABLE when the kernel does not say
 * Source: klogctl(3).
 */
export async function kernelLogBytes(): Promise<number> {
  const libc = await loadLibc();
  const klogctl = libc.func('int klogctl(int action, void *buffer, int length)');
  const bytes: unknown = klogctl(sizeOfBuffer, null, 0);
  if (typeof bytes === 'number' && bytes > 0) return bytes;
  throw new TapwardenError('LOG_UNAVAILABLE', {
    message: `The kernel does not say how large its log is: ${getSystemErrorName(-libc.errno())}`,
    hint: 'It takes CAP_SYSLOG, as root has it.',
  });
}
