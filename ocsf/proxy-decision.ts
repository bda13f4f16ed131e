import { isIP } from 'node:net';
import { attacksOf } from './attack.ts';
import { checkedInteger, checkedIp } from './check.ts';
import { deviceOf, type EventContext, metadataOf, policyOf } from './context.ts';
import { classifyAddress, isMetadataHost } from './destination.ts';
import type { Endpoint, EventBody, NetworkActivity } from './event.ts';
import { finish } from './finish.ts';
import { present } from './present.ts';
import type { ObjectOf } from './schema/types.ts';

/** A CONNECT or an absolute-form HTTP request, as a proxy saw it. Host and method are the workload's words. */
export type ConnectInput = {
  /** Epoch milliseconds by the host's clock. */
  readonly time: number;
  /** A name, or an address without brackets. */
  readonly host: string;
  readonly port: number;
  readonly method: string;
  readonly client: { readonly ip?: string; readonly port?: number };
  /** The address that the name was resolved to and that was checked. */
  readonly resolved?: string;
  readonly via: 'guest-proxy' | 'gateway';
  /** Payload bytes, as the workload sees them. */
  readonly bytes?: { readonly in: number; readonly out: number };
};

/** The policy rule that allowed a request. */
export type Allowed = { readonly rule: string };

/** Why a request was refused or failed: a code for programs, a sentence each for people. */
export type Denied = {
  readonly code: string;
  readonly reason: string;
  readonly hint?: string;
  /** The policy rule that denied it; absent when none allowed it. */
  readonly rule?: string;
};

type Outcome = {
  readonly code: string;
  readonly verb: string;
  readonly activity: 1 | 4 | 5;
  readonly severity: 1 | 2 | 3 | 4;
  readonly denied: boolean;
  readonly rule: string;
  readonly problem?: Denied;
};

/**
 * A request that the policy allowed and that reached its upstream: Network Activity, Open.
 *
 * @throws EVENT_INVALID when an address, port or number is out of its range
 * Source: OCSF network_activity (4001), profile network_proxy
 */
export function connectAllowed(
  context: EventContext,
  input: ConnectInput & { readonly decision: Allowed },
): EventBody<NetworkActivity> {
  return connectEvent(context, input, {
    code: 'connect-allowed',
    verb: 'allowed',
    activity: 1,
    severity: 1,
    denied: false,
    rule: input.decision.rule,
  });
}

/**
 * A request that the policy denied: Network Activity, Refuse.
 *
 * @throws EVENT_INVALID when an address, port or number is out of its range
 * Source: OCSF network_activity (4001), profile network_proxy
 */
export function connectDenied(
  context: EventContext,
  input: ConnectInput & { readonly decision: Denied },
): EventBody<NetworkActivity> {
  return connectEvent(context, input, {
    code: 'connect-denied',
    verb: 'denied',
    activity: 5,
    severity: isMetadata(input) ? 4 : 3,
    denied: true,
    rule: input.decision.rule ?? 'default-deny',
    problem: input.decision,
  });
}

/**
 * A request that the policy allowed and whose upstream could not be reached: Network Activity, Fail.
 *
 * @throws EVENT_INVALID when an address, port or number is out of its range
 * Source: OCSF network_activity (4001), profile network_proxy
 */
export function connectFailed(
  context: EventContext,
  input: ConnectInput & { readonly decision: Allowed; readonly failure: Denied },
): EventBody<NetworkActivity> {
  return connectEvent(context, input, {
    code: 'connect-failed',
    verb: 'failed',
    activity: 4,
    severity: 2,
    denied: false,
    rule: input.decision.rule,
    problem: input.failure,
  });
}

function connectEvent(context: EventContext, input: ConnectInput, outcome: Outcome): EventBody<NetworkActivity> {
  const port = checkedInteger(input.port, 'port', 0, 65535);
  const end = destinationOf(input, port);
  const name = input.host.includes(':') ? `[${input.host}]` : input.host;
  return finish<NetworkActivity>(
    present({
      time: checkedInteger(input.time, 'time'),
      class_uid: 4001 as const,
      activity_id: outcome.activity,
      severity_id: outcome.severity,
      message: `Request to ${name.slice(0, 255)}:${port} ${outcome.verb}`,
      status_id: outcome.problem === undefined ? (1 as const) : (2 as const),
      status_code: outcome.problem?.code,
      status_detail: outcome.problem === undefined ? undefined : sentenceOf(outcome.problem),
      action_id: outcome.denied ? (2 as const) : (1 as const),
      disposition_id: outcome.denied ? (2 as const) : (1 as const),
      is_alert: outcome.severity > 2,
      metadata: metadataOf(context, input.via, outcome.code),
      device: deviceOf(context),
      src_endpoint: sourceOf(context, input.client),
      dst_endpoint: end,
      connection_info: connectionOf(end.ip),
      traffic: trafficOf(input.bytes),
      proxy_endpoint: { name: input.via },
      firewall_rule: ruleOf(context, outcome),
      policy: policyOf(context),
      attacks: outcome.denied && isMetadata(input) ? metadataAttack(port) : undefined,
      unmapped: { request: { method: input.method.slice(0, 32), via: input.via } },
    }),
  );
}

function destinationOf(input: ConnectInput, port: number): Endpoint {
  const resolved = input.resolved === undefined ? undefined : checkedIp(input.resolved, 'resolved');
  if (isIP(input.host) !== 0 && !input.host.includes('%')) return { ip: checkedIp(input.host, 'host'), port };
  return present({ hostname: input.host, ip: resolved, port });
}

function sourceOf(context: EventContext, client: ConnectInput['client']): Endpoint {
  return present({
    ip: client.ip === undefined ? undefined : checkedIp(client.ip, 'client.ip'),
    port: client.port === undefined ? undefined : checkedInteger(client.port, 'client.port', 0, 65535),
    uid: context.sandboxId,
  });
}

function connectionOf(ip: string | undefined): ObjectOf<'network_connection_info'> {
  const address = ip === undefined ? undefined : classifyAddress(ip);
  return present({
    direction_id: 2 as const,
    boundary_id: address?.boundaryId,
    protocol_num: 6,
    protocol_name: 'tcp',
    protocol_ver_id: address?.versionId,
  });
}

function trafficOf(bytes: ConnectInput['bytes']) {
  if (bytes === undefined) return undefined;
  const inward = checkedInteger(bytes.in, 'bytes.in');
  const outward = checkedInteger(bytes.out, 'bytes.out');
  return { bytes: inward + outward, bytes_in: inward, bytes_out: outward };
}

function ruleOf(context: EventContext, outcome: Outcome): ObjectOf<'firewall_rule'> {
  return {
    name: outcome.rule,
    type: outcome.denied ? 'deny' : 'allow',
    category: 'egress',
    version: context.policy.version,
  };
}

function isMetadata(input: ConnectInput): boolean {
  return [input.host, input.resolved ?? ''].some(
    (host) => isMetadataHost(host) || (isIP(host) !== 0 && !host.includes('%') && classifyAddress(host).isMetadata),
  );
}

function metadataAttack(port: number) {
  return attacksOf({ protocol: 6, port, isMetadata: true, isInternal: true });
}

function sentenceOf(problem: Denied): string {
  return problem.hint === undefined ? problem.reason : `${problem.reason} ${problem.hint}`;
}
