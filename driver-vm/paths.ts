import { isAbsolute } from 'node:path';
import { TapwardenError } from '../base/index.ts';

/** The two places on the host's disk that tapwarden writes to. */
export type Paths = {
  /** Images, caches, locks and, by default, event logs; kept. */
  readonly stateDir: string;
  /** One folder for each living sandbox; empty and gone when there is none. */
  readonly runDir: string;
};

/**
 * Reads the places from the environment: `TAPWARDEN_STATE_DIR` (default /var/lib/tapwarden) and `TAPWARDEN_RUN_DIR`
 * (default /run/tapwarden).
 *
 * @throws USAGE_INVALID when one of them is no absolute path
 */
export function pathsOf(env: Readonly<Record<string, string | undefined>>): Paths {
  return {
    stateDir: absolute('TAPWARDEN_STATE_DIR', env['TAPWARDEN_STATE_DIR'] ?? '/var/lib/tapwarden'),
    // Unix socket paths hold 107 bytes, and below this come the sandbox's id and the socket's name.
    runDir: absolute('TAPWARDEN_RUN_DIR', env['TAPWARDEN_RUN_DIR'] ?? '/run/tapwarden', 48),
  };
}

function absolute(name: string, path: string, maxBytes = 4000): string {
  if (isAbsolute(path) && Buffer.byteLength(path) <= maxBytes && !path.includes('\0')) return path;
  throw new TapwardenError('USAGE_INVALID', {
    message: `${name} must be an absolute path of at most ${maxBytes} bytes: current value is '${path}'`,
  });
}

/** The file whose lock guards the making and removing of sandboxes. */
export const lockFile = (paths: Paths): string => `${paths.stateDir}/lock`;
