import { quoteText } from '../base/escape.ts';
import { checkAddress } from './check-address.ts';
import { decideHost, type HostRequest, resolveStatic, textOf } from './decide-host.ts';
import type { Policy } from './model.ts';

/**
 * Says in one or two lines which rule decides a request and why, or what to add to the policy. The addresses of the host
 * are unknown here, and names are not resolved, except by the policy itself.
 *
 * Example: `allow pypi.org:443: rule 'packages'`.
 */
export function explain(policy: Policy, request: HostRequest): string {
  const decision = decideHost(policy, request);
  const asked = `${quoteText(request.host, 300)}:${request.port}`;
  if (decision.kind === 'deny') return `deny ${asked}: ${decision.code}: ${decision.reason}\n${decision.hint}`;
  const host = textOf(decision.host);
  const answers = decision.host.kind === 'address' ? [host] : resolveStatic(policy, host);
  const head = `${host.includes(':') ? `[${host}]` : host}:${request.port}: rule '${decision.rule}'`;
  if (answers === undefined) return `allow ${head}`;
  const checks = answers.map((address) => checkAddress(policy, { address, port: request.port, hostAddresses: [] }));
  const refused = checks.find((check) => check.kind === 'deny');
  if (checks.some((check) => check.kind === 'allow') || refused === undefined) {
    return decision.host.kind === 'address'
      ? `allow ${head}`
      : `allow ${head}, answered by the policy: ${answers.join(', ')}`;
  }
  return `deny ${head} allows the request, but ${refused.code}: ${refused.reason}\n${refused.hint}`;
}
