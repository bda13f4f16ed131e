import type { Run } from '../../base/index.ts';

const script = `
nft list ruleset
ip -br link
ip netns list
find /run -mindepth 1 -maxdepth 2 ! -path '/run/netns*' ! -path '/run/mount*' ! -name 'tapwarden-*.lock'
grep -H . /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/conf/*/forwarding \\
  /proc/sys/net/ipv4/conf/*/accept_redirects /proc/sys/net/ipv6/conf/*/*forwarding
`;

/**
 * Tables, links, namespaces, files of /run but locks, which stay, and every forwarding switch of a network namespace, as text
 * that is the same when nothing has changed.
 */
export async function networkOf(run: Run): Promise<string> {
  return (await run(['sh', '-c', script])).stdout;
}
