import { type Child, escapeText, isTapwardenError, TapwardenError } from '../base/index.ts';

/** Why a virtual machine ended by itself. `errors` is what QEMU wrote, `cause` what was noticed first. */
export function vmmFailure(
  { status, signal, error }: Awaited<Child['ended']>,
  errors: string,
  cause?: unknown,
): TapwardenError {
  const said = escapeText(errors.trim(), 1000);
  const console = isTapwardenError(cause) ? String(cause.details['console'] ?? '') : '';
  const missing = /setpriv: failed to execute qemu-system-x86_64/.test(said);
  return new TapwardenError(missing ? 'VMM_MISSING' : 'VMM_FAILED', {
    message: missing
      ? 'QEMU is not installed: there is no qemu-system-x86_64'
      : `The virtual machine ended with ${signal ?? error?.message ?? `status ${String(status)}`}${said === '' ? '' : `: ${said}`}`,
    hint: missing
      ? 'Install the package qemu-system-x86.'
      : console === ''
        ? "See 'tapwarden doctor'."
        : `The end of its console:\n${consoleLinesOf(console)}`,
    details: { status, signal },
    cause,
  });
}

/** The last lines of a guest's console, escaped and indented. */
export function consoleLinesOf(text: string): string {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  if (lines.length === 0) return '  (it wrote nothing)';
  return lines
    .slice(-15)
    .map((line) => `  ${escapeText(line.trimEnd(), 200)}`)
    .join('\n');
}
