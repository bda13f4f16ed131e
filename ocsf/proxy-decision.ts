import { isIP } from 'node:net';
import { attacksOf } from './attack.ts';
import { checkedInteger, checkedIp } from './check.ts';
import { deviceOf, type EventContext, metadataOf, policyOf } from './context.ts';
import { classifyAddress, isMetadataHost } from './destination.ts';
import type { Endpoint, EventBody, HttpActivity } from './event.ts';
import { finish } from './finish.ts';
import { present } from './present.ts';
import type { ObjectOf } from './schema/types.ts';

/** A CONNECT or an absolute-form HTTP request, as a proxy saw it. Host, method and path are the workload's words. */
export type ConnectInput = {
  /** Epoch milliseconds by the host's clock. */
  readonly time: number;
  /** A name, or an address without brackets. */
  readonly host: string;
  readonly port: number;
  readonly method: string;
  /** What follows host and port in the request's URL, for example `/a?b=c`; absent where it is not known. A CONNECT has none. */
  readonly path?: string;
  /** The HTTP status that the proxy itself answered with; absent where the upstream answers, or nobody. */
  readonly status?: number;
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
  readonly severity: 1 | 2 | 3 | 4;
  readonly denied: boolean;
  readonly rule: string;
  readonly problem?: Denied;
};

/**
 * A request that the policy allowed and that reached its upstream: HTTP Activity, Allowed, Success.
 *
 * @throws EVENT_INVALID when an address, port or number is out of its range
 * Source: OCSF http_activity (4002), profile network_proxy
 */
export function connectAllowed(
  context: EventContext,
  input: ConnectInput & { readonly decision: Allowed },
): EventBody<HttpActivity> {
  return connectEvent(context, input, {
    code: 'connect-allowed',
    verb: 'allowed',
    severity: 1,
    denied: false,
    rule: input.decision.rule,
  });
}

/**
 * A request that the policy denied: HTTP Activity, Denied, Failure.
 *
 * @throws EVENT_INVALID when an address, port or number is out of its range
 * Source: OCSF http_activity (4002), profile network_proxy
 */
export function connectDenied(
  context: EventContext,
  input: ConnectInput & { readonly decision: Denied },
): EventBody<HttpActivity> {
  return connectEvent(context, input, {
    code: 'connect-denied',
    verb: 'denied',
    severity: isMetadata(input) ? 4 : 3,
    denied: true,
    rule: input.decision.rule ?? 'default-deny',
    problem: input.decision,
  });
}

/**
 * A request that the policy allowed and whose upstream could not be reached: HTTP Activity, Allowed, Failure.
 *
 * @throws EVENT_INVALID when an address, port or number is out of its range
 * Source: OCSF http_activity (4002), profile network_proxy
 */
export function connectFailed(
  context: EventContext,
  input: ConnectInput & { readonly decision: Allowed; readonly failure: Denied },
): EventBody<HttpActivity> {
  return connectEvent(context, input, {
    code: 'connect-failed',
    verb: 'failed',
    severity: 2,
    denied: false,
    rule: input.decision.rule,
    problem: input.failure,
  });
}

function connectEvent(context: EventContext, input: ConnectInput, outcome: Outcome): EventBody<HttpActivity> {
  const port = checkedInteger(input.port, 'port', 0, 65535);
  const end = destinationOf(input, port);
  const name = input.host.includes(':') ? `[${input.host}]` : input.host;
  return finish<HttpActivity>({
    ...activityOf(input.method),
    ...present({
      time: checkedInteger(input.time, 'time'),
      class_uid: 4002 as const,
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
      http_request: requestOf(input, name, port),
      http_response: responseOf(input.status),
      proxy_endpoint: { name: input.via },
      firewall_rule: ruleOf(context, outcome),
      policy: policyOf(context),
      attacks: outcome.denied && isMetadata(input) ? metadataAttack(port) : undefined,
    }),
  });
}

/** The activity of each method that OCSF lists, which names methods as HTTP does: in capitals. */
const activities = { CONNECT: 1, DELETE: 2, GET: 3, HEAD: 4, OPTIONS: 5, POST: 6, PUT: 7, TRACE: 8, PATCH: 9 } as const;

function isListed(method: string): method is keyof typeof activities {
  return Object.hasOwn(activities, method);
}

type Activity =
  | { readonly activity_id: (typeof activities)[keyof typeof activities] }
  | { readonly activity_id: 99; readonly activity_name: string };

/** A method that OCSF does not list is the label of activity Other, and can stand nowhere else. */
function activityOf(method: string): Activity {
  if (isListed(method)) return { activity_id: activities[method] };
  return { activity_id: 99, activity_name: method === '' ? '(none)' : method.slice(0, 32) };
}

function requestOf({ method, host, path }: ConnectInput, name: string, port: number): ObjectOf<'http_request'> {
  const [bare, query] = path === undefined ? [] : splitAt(path, path.indexOf('?'));
  return present({
    http_method: isListed(method) ? method : undefined,
    url: present({
      // A CONNECT names host and port alone. Source: RFC 9112, section 3.2.3.
      url_string: method === 'CONNECT' ? `${name}:${port}` : `http://${name}:${port}${path ?? ''}`,
      hostname: host,
      port,
      scheme: method === 'CONNECT' ? undefined : ('http' as const),
      path: bare === '' ? undefined : bare,
      query_string: query,
    }),
  });
}

function splitAt(text: string, index: number): readonly [string, string?] {
  return index === -1 ? [text] : [text.slice(0, index), text.slice(index + 1)];
}

function responseOf(status: number | undefined): ObjectOf<'http_response'> | undefined {
  return status === undefined ? undefined : { code: checkedInteger(status, 'status', 100, 599) };
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
  return problem.hint === undefined ? problem.reason : `${problem.reason.replace(/\.?$/, '.')} ${problem.hint}`;
}
