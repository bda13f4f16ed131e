/**
 * One destination that the policy admits past the proxy, as `policy` compiles it:
 * `{rule: 'ntp', protocol: 17, cidr: '192.0.2.10/32', ports: [123, 123]}`.
 */
export type DirectDestination = {
  /** The policy rule's name, `[a-z0-9][a-z0-9._-]{0,62}`. */
  readonly rule: string;
  /** IANA protocol number. */
  readonly protocol: number;
  readonly cidr: string;
  /** First and last port, or `null` where the protocol has none. */
  readonly ports: readonly [number, number] | null;
};

/** The nft match of one direct destination, without a verdict, and the comment for its rule. */
export type DirectMatch = { readonly match: string; readonly comment: string };

/**
 * Turns direct destinations into nft matches on destination, protocol and port, one rule for each: elements of a set of
 * ranges may not overlap, policies may.
 *
 * Example: `{match: 'ip daddr 192.0.2.10/32 meta l4proto 17 th dport 123', comment: 'policy rule ntp'}`.
 */
export function directMatches(destinations: readonly DirectDestination[]): readonly DirectMatch[] {
  return destinations.map(({ rule, protocol, cidr, ports }) => {
    const address = cidr.includes(':') ? `ip6 daddr ${cidr}` : `ip daddr ${cidr}`;
    const range = ports === null ? '' : ` th dport ${ports[0] === ports[1] ? ports[0] : `${ports[0]}-${ports[1]}`}`;
    return { match: `${address} meta l4proto ${protocol}${range}`, comment: `policy rule ${rule}` };
  });
}

/** Whether any of the destinations is an IPv6 one. */
export function hasIp6(destinations: readonly DirectDestination[]): boolean {
  return destinations.some(({ cidr }) => cidr.includes(':'));
}
