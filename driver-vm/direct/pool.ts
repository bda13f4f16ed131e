/**
 * The address pairs of the veths between slots and the root namespace: a /31 of IPv4 and a /127 of IPv6 for each sandbox
 * with direct rules, by its index. Shared address space (RFC 6598), which no host has on a link of its own unless its
 * provider put it there; claims are checked against the host's routes all the same.
 */
export const pool = {
  cidr4: '100.64.0.0/10',
  /** RFC 4193: fd00::/8 with a fixed, random global id. */
  cidr6: 'fd74:7761:7265::/48',
} as const;

/** The two ends of a sandbox's veth. */
export type AddressPair = {
  readonly host4: string;
  readonly slot4: string;
  readonly host6: string;
  readonly slot6: string;
};

/** The addresses of the sandbox with that index, 0 to 32767: `100.64.0.0` and `100.64.0.1` for 0. */
export function addressPair(index: number): AddressPair {
  const at = (offset: number): string => {
    const number = 2 * index + offset;
    return `100.${64 + (number >> 16)}.${(number >> 8) & 255}.${number & 255}`;
  };
  const at6 = (offset: number): string => `fd74:7761:7265::${(2 * index + offset).toString(16)}`;
  return { host4: at(0), slot4: at(1), host6: at6(2), slot6: at6(3) };
}
