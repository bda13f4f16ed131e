/**
 * The environment of the processes that a guest could take over: where programs are, and nothing of the caller's, which
 * may hold secrets.
 */
export function plainEnvironment(env: Readonly<Record<string, string | undefined>>): Readonly<Record<string, string>> {
  return { PATH: env['PATH'] ?? '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' };
}
