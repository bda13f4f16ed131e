import { systemPath } from '../base/index.ts';

/**
 * The environment of the processes that a guest could take over: where programs are, and nothing of the caller's, which
 * may hold secrets.
 */
export const plainEnvironment: Readonly<Record<string, string>> = { PATH: systemPath, LC_ALL: 'C' };
