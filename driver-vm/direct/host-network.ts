import { createRtNetlink } from 'netlink';

/** What the root namespace's network looks like, as far as direct egress has to know. */
export type HostNetwork = {
  /** All addresses of the host's interfaces, without prefix length: `['127.0.0.1', '192.0.2.4', '::1']`. */
  readonly addresses: readonly string[];
  /** The names of all interfaces. */
  readonly links: readonly string[];
  /** The destinations of all routes, default routes left out: `['192.0.2.0/24']`. */
  readonly routes: readonly string[];
};

/** Reads the root namespace's addresses, links and routes. Source: rtnetlink(7). */
export async function readHostNetwork(): Promise<HostNetwork> {
  const netlink = createRtNetlink();
  try {
    const [addresses, links, routes] = await Promise.all([
      netlink.getAddresses(),
      netlink.getLinks(),
      netlink.getRoutes(),
    ]);
    return {
      // Of a point-to-point link `address` is the peer's, and `local` the own one.
      addresses: addresses.flatMap(({ attrs }) => formatAddress(attrs.local ?? attrs.address) ?? []),
      links: links.flatMap(({ attrs }) => attrs.ifname ?? []),
      routes: routes.flatMap(({ data, attrs }) => {
        const address = formatAddress(attrs.dst);
        return address === undefined || data.dstLen === 0 ? [] : [`${address}/${data.dstLen}`];
      }),
    };
  } finally {
    netlink.socket.close();
  }
}

/** Four or sixteen bytes as text. */
function formatAddress(bytes: Buffer | undefined): string | undefined {
  if (bytes?.length === 4) return [...bytes].join('.');
  if (bytes?.length !== 16) return undefined;
  const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(2 * index).toString(16));
  return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1);
}
