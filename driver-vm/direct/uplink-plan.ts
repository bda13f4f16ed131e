import { slotUplink } from '../slot-table.ts';
import type { AddressPair } from './pool.ts';

/** The addresses of an uplink; without IPv6 where no direct rule is of it. */
export type UplinkPairs = { readonly v4: AddressPair; readonly v6: AddressPair | undefined };

/** Lines for `ip -batch`: what makes the veth, and what sets up either end. */
export type UplinkPlan = {
  readonly make: readonly string[];
  readonly host: readonly string[];
  readonly slot: readonly string[];
};

/**
 * The same in every slot, since no two veths share a network. Given and not made up by the kernel, so that no device
 * manager of the host changes them: the neighbours below are fixed.
 */
const hostMac = '02:74:77:02:00:01';
const slotMac = '02:74:77:02:00:02';

/**
 * Plans the veth between a slot and the root namespace. Either end knows the other by a fixed neighbour entry and has ARP
 * off, so that there is no discovery to answer or to believe, and no link-local address.
 *
 * Source: ip-link(8), ip-address(8), ip-neighbour(8), ip-route(8); RFC 3021 for /31, RFC 6164 for /127.
 */
export function planUplink(namespace: string, link: string, { v4, v6 }: UplinkPairs): UplinkPlan {
  const up = slotUplink;
  const pairs = [v4, ...(v6 === undefined ? [] : [v6])];
  const end = (name: string, own: 'host' | 'slot', other: 'host' | 'slot', mac: string): readonly string[] => [
    `link set ${name} arp off addrgenmode none`,
    ...pairs.map((pair) => `address add ${pair[own]}/${pair.prefix} dev ${name}${pair.prefix === 127 ? ' nodad' : ''}`),
    `link set ${name} up`,
    ...pairs.map((pair) => `neighbor add ${pair[other]} lladdr ${mac} nud permanent dev ${name}`),
  ];
  return {
    make: [`link add ${link} address ${hostMac} type veth peer name ${up} address ${slotMac} netns ${namespace}`],
    host: end(link, 'host', 'slot', slotMac),
    slot: [
      ...end(up, 'slot', 'host', hostMac),
      `route add default via ${v4.host} dev ${up}`,
      ...(v6 === undefined ? [] : [`route add ::/0 via ${v6.host} dev ${up}`]),
    ],
  };
}
