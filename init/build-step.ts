import { statfs } from 'node:fs/promises';
import { isTapwardenError, TapwardenError } from '../base/errors.ts';
import { escapeText } from '../base/escape.ts';

/** Called with one line of progress, without a newline. Example: `guest image: kernel unpacked (1.3 s)`. */
export type Progress = (line: string) => void;

/** The free space that an image's build asks for, in bytes. */
export const neededBytes = 2 * 1024 ** 3;

/**
 * Runs one step of a build and says on `onProgress` what is done, then how long it took.
 *
 * @throws IMAGE_BUILD_FAILED when a program of the step fails or takes too long, with the end of what it printed
 */
export async function buildStep<T>(onProgress: Progress, name: string, body: () => Promise<T>): Promise<T> {
  const began = performance.now();
  onProgress(`${name} …`);
  try {
    const result = await body();
    onProgress(`${name}: done in ${((performance.now() - began) / 1000).toFixed(1)} s`);
    return result;
  } catch (cause) {
    if (!isTapwardenError(cause, 'COMMAND_FAILED') && !isTapwardenError(cause, 'COMMAND_TIMEOUT')) throw cause;
    const stderr = cause.details['stderr'];
    const tail = typeof stderr === 'string' ? tailOf(stderr) : '';
    throw new TapwardenError('IMAGE_BUILD_FAILED', {
      message: `${name}: failed${tail === '' ? `: ${cause.message}` : `. The program's last words:\n${tail}`}`,
      hint: "If a download failed, run 'apt-get update' and try again.",
      details: cause.details,
      cause,
    });
  }
}

/**
 * Refuses to begin a build that would fill the disk.
 *
 * @throws DISK_FULL when less than {@link neededBytes} are free where `directory` is
 */
export async function assertFreeSpace(directory: string): Promise<void> {
  const { bavail, bsize } = await statfs(directory);
  const free = bavail * bsize;
  if (free >= neededBytes) return;
  throw new TapwardenError('DISK_FULL', {
    message: `Building an image needs 2 GiB free at ${directory}: ${(free / 1024 ** 3).toFixed(1)} GiB are`,
    hint: 'Free some space, or choose another state directory.',
    details: { directory, free },
  });
}

/** The last lines of a program's output, escaped line by line. */
function tailOf(output: string): string {
  return output
    .trim()
    .split('\n')
    .slice(-15)
    .map((line) => `  ${escapeText(line, 300)}`)
    .join('\n');
}
