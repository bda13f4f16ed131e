import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { inNetworkNamespace } from '../base/index.ts';
import { workloadNet } from './addresses.ts';
import { ip6Bytes } from './canary-packet.ts';

const patienceMs = 2000;
const lookMs = 5;

/**
 * Waits until the kernel takes the workload's IPv6 address for its own, which is a moment after the link is up. Until then the
 * reset by which the fence refuses a TCP connect would be routed out instead of back, and be refused itself. Gives up after
 * two seconds: what is wrong then, the canaries show.
 *
 * @throws NAMESPACE_FAILED when the namespace cannot be entered
 * Source: net/ipv6/route.c, /proc/net/ipv6_route: destination and prefix length in hexadecimal come first.
 */
export async function awaitLocalAddress(namespace: string): Promise<void> {
  const own = new RegExp(`^${ip6Bytes(workloadNet.workloadIp6).toString('hex')} 80 `, 'm');
  for (let waitedMs = 0; waitedMs < patienceMs; waitedMs += lookMs) {
    const routes = await inNetworkNamespace(namespace, () => readFileSync('/proc/thread-self/net/ipv6_route', 'utf8'));
    if (own.test(routes)) return;
    await sleep(lookMs);
  }
}
