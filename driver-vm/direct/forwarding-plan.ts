import { TapwardenError } from '../../base/index.ts';

/** A switch of the kernel below /proc/sys, and how it stood: `{path: 'net/ipv4/conf/eth0/forwarding', former: '0'}`. */
export type Switch = { readonly path: string; readonly former: string };

/** What is known of the host before anything is changed. Values are the text of the switches, `'0'` or `'1'`. */
export type ForwardingFacts = {
  /** The interfaces by which direct traffic leaves, and so the ones on which replies come, by family. */
  readonly egress4: readonly string[];
  readonly egress6: readonly string[];
  /** The switches of these interfaces, and of the host; a path that the kernel does not have is missing. */
  readonly values: ReadonlyMap<string, string>;
  /** Interfaces on which the kernel itself learns routes from router advertisements, and has learnt some. */
  readonly advertised: readonly string[];
};

/** What has to be done for the host to forward between slots and the world, and nothing else. */
export type ForwardingPlan = {
  /** What will stand otherwise than before. */
  readonly changes: readonly Switch[];
  /** The switches to set to 1. Some of `changes` follow from these. */
  readonly turnOn: readonly string[];
};

/** The host's own switches. */
export const host4 = 'net/ipv4/ip_forward';
const host6 = 'net/ipv6/conf/all/forwarding';
const switch4 = (link: string): string => `net/ipv4/conf/${link}/forwarding`;
const switch6 = (link: string): string => `net/ipv6/conf/${link}/force_forwarding`;

/** The switches to read for {@link ForwardingFacts}, beside those of all interfaces' IPv6 forwarding. */
export function switchesOf(egress4: readonly string[], egress6: readonly string[]): readonly string[] {
  return [host4, host6, ...egress4.map(switch4), ...egress6.map(switch6)];
}

/** The switches that let the host's end of a slot's veth forward what comes in there. They go with the veth. */
export function slotSwitches(link: string, withIp6: boolean): readonly string[] {
  return withIp6 ? [switch4(link), switch6(link)] : [switch4(link)];
}

/**
 * Plans the least that lets the host forward: IPv4 is switched on for the interfaces on which replies come, not for the
 * host, whose `ip_forward` stays as it is and with it all that hangs on it (writing it resets `accept_redirects`). A host
 * that is a router already needs nothing.
 *
 * IPv6 has such a switch, `force_forwarding`, from Linux 6.17 on. Before, the whole host becomes a router, and the kernel
 * drops the default routes that it learnt from router advertisements: a host that lives on these is left alone.
 *
 * Source: Documentation/networking/ip-sysctl.rst; `inet_forward_change` in net/ipv4/devinet.c; `ip6_forward` in
 * net/ipv6/ip6_output.c; `addrconf_fixup_forwarding` in net/ipv6/addrconf.c.
 *
 * @throws FORWARDING_UNSAFE when the host would lose its own IPv6 routes
 */
export function planForwarding(facts: ForwardingFacts): ForwardingPlan {
  const { values, egress4, egress6 } = facts;
  const off4 = egress4.filter((link) => values.get(switch4(link)) === '0');
  const byLink6 = egress6.every((link) => values.has(switch6(link)));
  const router6 = egress6.length === 0 || (values.get(host6) ?? '0') !== '0';
  if (!router6 && !byLink6) return withHost6(facts, off4);
  const off6 = router6 ? [] : egress6.filter((link) => values.get(switch6(link)) === '0');
  const turnOn = [...off4.map(switch4), ...off6.map(switch6)];
  return {
    changes: turnOn.map((path) => ({ path, former: '0' })),
    turnOn,
  };
}

function withHost6({ values, advertised }: ForwardingFacts, off4: readonly string[]): ForwardingPlan {
  if (advertised.length > 0) {
    const [link] = advertised;
    throw new TapwardenError('FORWARDING_UNSAFE', {
      message: `Direct IPv6 rules need IPv6 forwarding, and this kernel would then drop the routes that the host learns from router advertisements on ${advertised.join(', ')}`,
      hint: `Let the host keep them: 'sysctl net.ipv6.conf.${link}.accept_ra=2'; or use Linux 6.17, or a policy without direct IPv6 rules.`,
      details: { interfaces: advertised },
    });
  }
  // Writing the host's switch writes those of all interfaces, so that they have to be put back too, and after it.
  const rest = [...values].filter(([path]) => /^net\/ipv6\/conf\/[^/]+\/forwarding$/.test(path) && path !== host6);
  return {
    changes: [
      ...off4.map((link) => ({ path: switch4(link), former: '0' })),
      { path: host6, former: '0' },
      ...rest.map(([path, former]) => ({ path, former })),
    ],
    turnOn: [...off4.map(switch4), host6],
  };
}

/**
 * The elements of the host table's sets that go with changed switches: who forwards and did not before. Example:
 * `{opened: ['ipv4 . "eth0"'], closed: []}`.
 */
export function elementsOf(changes: readonly Switch[]): {
  readonly opened: readonly string[];
  readonly closed: readonly string[];
} {
  const opened = changes.flatMap(({ path }) => {
    const [, family, link] = /^net\/(ipv4|ipv6)\/conf\/([^/]+)\/(?:force_)?forwarding$/.exec(path) ?? [];
    const byLink = family === 'ipv4' || path.endsWith('/force_forwarding');
    return link !== undefined && byLink ? [`${family} . "${link}"`] : [];
  });
  return { opened, closed: changes.some(({ path }) => path === host6) ? ['ipv6'] : [] };
}
