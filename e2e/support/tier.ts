import { accessSync, constants, existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Why guests cannot be booted here, in words, or `undefined` when they can. Example: `'not root'`. */
export function whyNoGuests(): string | undefined {
  if (process.geteuid?.() !== 0) return 'not root';
  const missing = ['qemu-system-x86_64', 'nft', 'ip', 'setpriv', 'debugfs'].filter((name) => !isInstalled(name));
  if (missing.length > 0) return `not installed: ${missing.join(', ')}`;
  if (!existsSync('/dev/net/tun')) return 'there is no /dev/net/tun';
  return undefined;
}

/** Why commands cannot be run in jails here, in words, or `undefined` when they can. */
export function whyNoJails(): string | undefined {
  if (process.geteuid?.() !== 0) return 'not root';
  const missing = ['nft', 'ip', 'bwrap', 'nsenter', 'unshare', 'setpriv'].filter((name) => !isInstalled(name));
  return missing.length > 0 ? `not installed: ${missing.join(', ')}` : undefined;
}

/** Whether `REQUIRE`, a list as in `kernel,vm`, says that tests of the tier may not be skipped. */
export function isRequired(tier: string): boolean {
  return (process.env['REQUIRE'] ?? '').split(',').includes(tier);
}

function isInstalled(name: string): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, name), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
