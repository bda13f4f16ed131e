import { lookup } from 'node:dns/promises';
import type { Server } from 'node:net';
import { escapeText, messageOf } from '../../base/index.ts';
import { checkAddress } from '../../policy/check-address.ts';
import { decideHost, resolveStatic } from '../../policy/decide-host.ts';
import type { Policy } from '../../policy/index.ts';
import { createDirectDial, createProxy, type Dial, type Outcome } from '../../proxy/index.ts';
import { readAddresses, withNetlink } from '../shared/netlink.ts';

/** What the gateway works from. */
export type GatewayOptions = {
  readonly policy: Policy;
  /** The socket that listens inside the slot. */
  readonly server: Server;
  readonly onOutcome: (outcome: Outcome) => void;
};

/** A running gateway. */
export type Gateway = { readonly close: () => Promise<void> };

const connectTimeoutMs = 10_000;

/**
 * Starts the gateway: the host's half of the policy proxy, and the only thing of the host that the guest can reach. It
 * decides each request by the policy, resolves the name once on the host, checks every answer, and connects to the very
 * address that it checked.
 */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const { policy, server, onOutcome } = options;
  const proxy = createProxy({
    name: 'gateway',
    decide: ({ host, port }) => decideHost(policy, { host, port }),
    upstream: {
      kind: 'direct',
      dial: async (request, signal) => await (await directDial(policy))(request, signal),
    },
    onInternalError: (thrown) => {
      process.stderr.write(`tapwarden: gateway: BUG: ${escapeText(messageOf(thrown), 500)}\n`);
    },
    onOutcome: (outcome) => {
      if (outcome.by === 'gateway') onOutcome(outcome);
    },
  });
  // First of all: the socket listens already, and a connection that nobody waits for would be lost.
  await proxy.listen({ kind: 'server', server });
  // The first look loads the netlink package, while the guest still boots.
  await withNetlink(readAddresses);
  return { close: async () => await proxy.close() };
}

/**
 * The dial of one request. The host's own addresses are asked for each: they come and go, and one that is forgotten is a
 * way to the host's services.
 */
async function directDial(policy: Policy): Promise<Dial> {
  const hostAddresses = await withNetlink(readAddresses);
  return createDirectDial({
    resolve: async (host) => await resolve(policy, host),
    checkAddress: (address, port) => checkAddress(policy, { address, port, hostAddresses }),
    connectTimeoutMs,
  });
}

/** All addresses of a name, as the policy lists them or the host's resolver has them. Source: getaddrinfo(3). */
async function resolve(policy: Policy, host: string): Promise<readonly string[]> {
  const listed = resolveStatic(policy, host);
  if (listed !== undefined) return listed;
  const answers = await lookup(host, { all: true, verbatim: true });
  return answers.map(({ address }) => address);
}
