import { link } from '../../init/index.ts';
import type { DirectDestination } from '../../nft/index.ts';
import { compileDirect, hasDirect, type Policy } from '../../policy/index.ts';
import { readHostNetwork } from './host-network.ts';
import type { Pool } from './pool.ts';

/**
 * The destinations of a policy's direct rules, without any address of the host and of slots: a direct rule opens the
 * world, not the machine that enforces it. Reads the host's addresses where there is such a rule.
 */
export async function directDestinations(policy: Policy, pool: Pool): Promise<readonly DirectDestination[]> {
  if (!hasDirect(policy)) return [];
  const { addresses } = await readHostNetwork();
  const own = [`${link.hostIpv4}/32`, `${link.guestIpv4}/32`, `${link.hostIpv6}/128`, `${link.guestIpv6}/128`];
  const { v4, v6 } = compileDirect(policy, { exclude: [...new Set([...addresses, ...own, pool.cidr4, pool.cidr6])] });
  return [...v4, ...v6];
}
