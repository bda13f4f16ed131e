import { writeFileSync } from 'node:fs';
import { place } from './place.ts';

const setting = '/proc/sys/kernel/randomize_va_space';

/**
 * Runs `body`, while programs that are started lie where they lay before: an emulator has translated their code, and that of
 * their libraries, when the second one starts. Nothing that lives on may start meanwhile, and no workload. In a jail the
 * setting is the host's, and left alone.
 *
 * Source: Documentation/admin-guide/sysctl/kernel.rst, randomize_va_space.
 */
export async function withSameAddresses<T>(body: () => Promise<T>): Promise<T> {
  if (place.jail !== undefined) return await body();
  writeFileSync(setting, '0');
  try {
    return await body();
  } finally {
    writeFileSync(setting, '2');
  }
}
