import type { AddressRange, PortRange } from '../../../policy/index.ts';

/**
 * A packet, or all packets of a range, as a firewall sees it: the first one of a connection that a direct rule allows, or
 * the first reply. `undefined` is a value that is not known.
 */
export type Packet = {
  readonly direction: 'original' | 'reply';
  readonly family: 'ip' | 'ip6';
  readonly iifname: string;
  readonly oifname: string;
  readonly saddr: AddressRange;
  readonly daddr: AddressRange;
  /** IANA protocol number. */
  readonly protocol: number;
  readonly sport: PortRange | undefined;
  readonly dport: PortRange | undefined;
};

/** Where a packet is when a chain looks at it. An outgoing interface is known from `forward` on. */
export type HookName = 'prerouting' | 'forward' | 'postrouting' | 'egress';

/** Whether a rule matches. */
export type Truth = 'yes' | 'no' | 'maybe';

/** All of them hold. */
export function allOf(truths: readonly Truth[]): Truth {
  if (truths.includes('no')) return 'no';
  return truths.includes('maybe') ? 'maybe' : 'yes';
}

/** One of them holds. */
export function anyOf(truths: readonly Truth[]): Truth {
  if (truths.includes('yes')) return 'yes';
  return truths.includes('maybe') ? 'maybe' : 'no';
}

/** The contrary. */
export function not(truth: Truth): Truth {
  return truth === 'maybe' ? 'maybe' : truth === 'yes' ? 'no' : 'yes';
}
