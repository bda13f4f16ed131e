import { messageOf } from '../../base/index.ts';
import type { AddressRange } from '../../policy/index.ts';
import { rangeOf, readAddresses, withNetlink } from '../shared/netlink.ts';

/** What the root namespace's network looks like, as far as direct egress has to know. */
export type HostNetwork = {
  /** All addresses of the host's interfaces, without prefix length: `['127.0.0.1', '192.0.2.4', '::1']`. */
  readonly addresses: readonly string[];
  /** The names of all interfaces. */
  readonly links: readonly string[];
  /** The routes of all tables, those of the host's own addresses included. */
  readonly routes: readonly HostRoute[];
};

/** One route. Example: `{range: 192.0.2.0/24, interfaces: ['eth0'], unicast: true, advertised: false}`. */
export type HostRoute = {
  readonly range: AddressRange;
  /** Where it leads; none for routes that refuse, several for one that is shared out. */
  readonly interfaces: readonly string[];
  /** Whether it leads to other machines, and not to the host itself, to nowhere or to many. */
  readonly unicast: boolean;
  /** Whether a router advertisement made it. The kernel takes such default routes away when it becomes a router. */
  readonly advertised: boolean;
};

/** Reads the root namespace's addresses, links and routes. Source: rtnetlink(7). */
export async function readHostNetwork(): Promise<HostNetwork> {
  return await withNetlink(async (netlink) => {
    // One after the other: the package mixes up the answers to two dumps on one socket.
    const addresses = await readAddresses(netlink);
    const links = await netlink.getLinks();
    const routes = await netlink.getRoutes();
    const names = new Map(links.map(({ data, attrs }) => [data.index ?? 0, attrs.ifname ?? '']));
    return {
      addresses,
      links: [...names.values()],
      routes: routes.map(({ data, attrs }) => ({
        range: rangeOf(attrs.dst ?? Buffer.alloc(data.family === ipv6 ? 16 : 4), data.dstLen ?? 0),
        interfaces: [...(attrs.oif === undefined ? [] : [attrs.oif]), ...nextHopsOf(attrs.multipath)].flatMap(
          (index) => names.get(index) ?? [],
        ),
        unicast: data.type === 'UNICAST',
        advertised: data.protocol === 'RA',
      })),
    };
  });
}

/**
 * Asks the kernel by which interface it would send a packet to each address, its routing rules included; `undefined`
 * where it has no route. Example: `['192.0.2.1']` gives `['eth0']`.
 */
export async function readEgress(addresses: readonly AddressRange[]): Promise<readonly (string | undefined)[]> {
  return await withNetlink(async (netlink) => {
    const links = await netlink.getLinks();
    const names = new Map(links.map(({ data, attrs }) => [data.index, attrs.ifname]));
    const found: (string | undefined)[] = [];
    for (const { bits, base } of addresses) {
      const dst = Buffer.from(base.toString(16).padStart(bits / 4, '0'), 'hex');
      const routes = await netlink
        .getRoute({ family: bits === 32 ? ipv4 : ipv6, dstLen: bits }, { dst })
        .catch((error: unknown) => {
          // What the kernel says of no route, and of routes that refuse: unreachable, prohibit, blackhole.
          if (/ENETUNREACH|EHOSTUNREACH|EACCES|EINVAL/.test(messageOf(error))) return [];
          throw error;
        });
      found.push(names.get(routes[0]?.attrs.oif));
    }
    return found;
  });
}

/** Source: include/linux/socket.h, AF_INET and AF_INET6. */
const ipv4 = 2;
const ipv6 = 10;

/** The interface numbers in an array of `struct rtnexthop`. Source: rtnetlink(7), RTA_MULTIPATH. */
function nextHopsOf(bytes: Buffer | undefined): readonly number[] {
  const indexes: number[] = [];
  let at = 0;
  while (bytes !== undefined && at + 8 <= bytes.length) {
    indexes.push(bytes.readInt32LE(at + 4));
    // Each begins on a multiple of four bytes, and says its own length first.
    at += Math.max(8, (bytes.readUInt16LE(at) + 3) & ~3);
  }
  return indexes;
}
