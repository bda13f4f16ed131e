import type { DirectDestination } from '../../nft/index.ts';
import { contains, knownRange } from '../../policy/index.ts';
import { type HostNetwork, readEgress } from './host-network.ts';

/** By which interfaces packets to a direct destination may leave the host; none where it has no route. */
export type Egress = { readonly destination: DirectDestination; readonly interfaces: readonly string[] };

/**
 * Finds the interfaces of each destination: the one to its first address, as the kernel chooses, and those of the routes
 * to parts of it. Example: `10.0.0.0/8` leaves by `eth0`, and by `wg0` where there is a route to `10.9.0.0/16`.
 */
export async function findEgress(
  network: HostNetwork,
  direct: readonly DirectDestination[],
): Promise<readonly Egress[]> {
  const ranges = direct.map(({ cidr }) => knownRange(cidr));
  const first = await readEgress(ranges);
  return direct.map((destination, at) => {
    const parts = network.routes.filter(
      ({ range, unicast }) => unicast && ranges[at] !== undefined && contains(ranges[at], range),
    );
    return {
      destination,
      interfaces: [
        ...new Set([...(first[at] === undefined ? [] : [first[at]]), ...parts.flatMap((p) => p.interfaces)]),
      ],
    };
  });
}
