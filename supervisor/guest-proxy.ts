import type { Fact } from '../channel/index.ts';
import { link } from '../init/contract.ts';
import { decideHost } from '../policy/decide-host.ts';
import type { Policy } from '../policy/index.ts';
import { createProxy, type Outcome, type ProxyServer } from '../proxy/index.ts';
import { workloadNet } from './addresses.ts';

/** The guest's half of the policy proxy. */
export type GuestProxy = ProxyServer;

/**
 * Starts the proxy that the workload is told of. It decides by the policy and passes what it allows on to the host's
 * gateway, which decides again. Each refusal is told once: here its own, by the gateway the gateway's.
 */
export async function startGuestProxy(policy: Policy, onFact: (fact: Fact) => void): Promise<GuestProxy> {
  const proxy = createProxy({
    name: 'guest-proxy',
    decide: ({ host, port }) => decideHost(policy, { host, port }),
    upstream: { kind: 'chain', host: link.hostIpv4, port: link.gatewayPort },
    onOutcome: (outcome) => {
      const fact = deniedRequestFact(outcome);
      if (fact !== undefined) onFact(fact);
    },
  });
  await proxy.listen({ kind: 'address', host: workloadNet.supervisorIp4, port: workloadNet.proxyPort });
  return proxy;
}

function deniedRequestFact(outcome: Outcome): Fact | undefined {
  if (outcome.result !== 'denied' || outcome.by !== 'guest-proxy') return undefined;
  const { request, denial } = outcome;
  return {
    kind: 'denied-request',
    method: request.method.slice(0, 32),
    host: request.host.slice(0, 255),
    port: request.port,
    path: request.path?.slice(0, 1024) ?? null,
    client: request.client,
    code: denial.code,
    reason: denial.reason.slice(0, 1024),
    hint: denial.hint.slice(0, 1024),
  };
}
