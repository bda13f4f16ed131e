import { isTapwardenError } from '../base/index.ts';
import { adviceText, type RefusedTarget } from './advice.ts';
import { attacksOf } from './attack.ts';
import { checkedInteger } from './check.ts';
import { deviceOf, type EventContext, metadataOf, policyOf } from './context.ts';
import { protocolName } from './destination.ts';
import type { Endpoint, EventBody, JsonObject, JsonValue, NetworkActivity, Observable } from './event.ts';
import { type FenceRule, fenceRuleOf, kernelUser, statusCodes } from './fence-rule.ts';
import { finish, wellFormed } from './finish.ts';
import { deepFreeze, isDeeplyFrozen } from './frozen.ts';
import { observableOf } from './observables.ts';
import { type CheckedEnd, type DeniedPacketInput, type Packet, readPacket } from './packet.ts';
import { confidenceOf, keyOf, originOf, processOf } from './packet-origin.ts';
import { knownPorts, messageOf } from './packet-text.ts';
import { present } from './present.ts';
import type { ObjectName } from './schema/objects.ts';
import type { ObjectOf } from './schema/types.ts';
import { sealPart } from './validate/validate-event.ts';

type Traffic = ObjectOf<'network_traffic'>;

/**
 * A packet that tried to leave by another way than the proxy: Network Activity, Refuse.
 *
 * The process is named where its origin tells of one, with how it was found out; the kernel's line names the user alone, and
 * the mark the exec, in `unmapped.exec`.
 *
 * @throws EVENT_INVALID when an address, port or number is out of its range
 * Source: OCSF network_activity (4001)
 */
export function deniedPacket(context: EventContext, input: DeniedPacketInput): EventBody<NetworkActivity> {
  const packet = readPacket(input);
  // Long texts are cut by `finish`; everything else of a packet is as short as its check says.
  if (input.rawLine.length > maxLength || input.interfaceOut.length > 16 || (input.exec?.id.length ?? 0) > 64) {
    return finish<NetworkActivity>(draftOf(context, input, packet));
  }
  const alike = alikeOf(context, input, packet);
  return alike === undefined
    ? finish<NetworkActivity>(draftOf(context, input, packet))
    : fill(alike, context, input, packet);
}

/** Characters of a raw line that {@link fill} takes without cutting. */
const maxLength = 1024;

function draftOf(context: EventContext, input: DeniedPacketInput, packet: Packet): NetworkActivity {
  const { source, end, destination, severity, length } = packet;
  return present({
    time: packet.time,
    class_uid: 4001 as const,
    activity_id: 5 as const,
    severity_id: severity,
    message: messageOf(input, end),
    status_id: 2 as const,
    status_code: statusCodes[input.verdict],
    status_detail: adviceText(targetOf(input.protocol, end), destination),
    action_id: 2 as const,
    disposition_id: 2 as const,
    is_alert: severity > 2,
    confidence_id: confidenceOf(input.origin),
    observation_point_id: 1 as const,
    raw_data: input.rawLine,
    raw_data_size: Buffer.byteLength(input.rawLine),
    metadata: metadataOf(context, 'fence', 'egress-denied', {
      log_provider: 'nf_tables',
      log_source: '/dev/kmsg',
      log_format: 'kmsg',
      original_event_uid: String(packet.sequence),
      original_time: packet.originalTime,
      ...(input.origin?.confidence === 'high' ? {} : { labels: ['origin:unverified'] }),
    }),
    device: deviceOf(context),
    actor: actorOf(context, input, packet.time),
    src_endpoint: sourceOf(context, input, source),
    dst_endpoint: end,
    connection_info: present({
      direction_id: 2 as const,
      boundary_id: destination.boundaryId,
      protocol_num: input.protocol,
      protocol_name: protocolName(input.protocol),
      protocol_ver_id: destination.versionId,
      tcp_flags: packet.tcpFlags,
    }),
    traffic: trafficOf(length),
    firewall_rule: fenceRuleOf(context, input.rule, input.verdict),
    policy: policyOf(context),
    attacks: attacksOf({
      protocol: input.protocol,
      ...(end.port === undefined ? {} : { port: end.port }),
      isMetadata: destination.isMetadata,
      isInternal: destination.boundaryId === 2,
    }),
    unmapped: unmappedOf(input),
  });
}

/** The socket's owner, and the process. */
function actorOf(
  context: EventContext,
  { uid, gid, origin }: DeniedPacketInput,
  time: number,
): ObjectOf<'actor'> | undefined {
  const process = processOf(origin, time, context.sandboxId);
  const user = kernelUser(uid, gid);
  return process === undefined ? user : { process, ...user };
}

/** An event as {@link finish} made it, and what it was made from as far as other events may have it otherwise. */
type Alike = {
  readonly event: EventBody<NetworkActivity>;
  readonly kind: number;
  readonly source: string;
  readonly uid: number | undefined;
  readonly gid: number | undefined;
  readonly mark: number | undefined;
  readonly execId: string | undefined;
  readonly origin: string;
  /** Those of packets without ICMP. */
  readonly unmapped: JsonObject;
  readonly length: number;
  readonly traffic: Traffic;
  /** The observables of the sandbox, the user and the source. */
  readonly observables: readonly Observable[];
};

// What a context and a rule lead to, for those that cannot change any more. Callers cannot tell that it is kept.
const known = new WeakMap<EventContext, WeakMap<FenceRule, Alike[]>>();

/** Alikes that are kept for one rule of one context; a workload that makes up more of them than this starts anew. */
const maxAlikes = 64;

/** What an earlier packet of the same kind and sender gave; `undefined` where context or rule may change. */
function alikeOf(context: EventContext, input: DeniedPacketInput, packet: Packet): Alike | undefined {
  const list = listOf(context, input.rule);
  if (list === undefined) return undefined;
  const kind = kindOf(input, packet);
  const origin = keyOf(input.origin, packet.time);
  for (const alike of list) {
    if (alike.kind === kind && alike.origin === origin && isSameSender(alike, input, packet)) return alike;
  }
  const event = finish<NetworkActivity>(draftOf(context, input, packet));
  if (event.metadata.is_truncated === true || !sealParts(event)) return undefined;
  const { uid, gid, mark, exec } = input;
  const observables: readonly Observable[] = event.observables;
  const alike: Alike = {
    event,
    kind,
    source: packet.source.ip,
    uid,
    gid,
    mark,
    execId: exec?.id,
    origin,
    unmapped: deepFreeze(unmappedOf({ uid, exec, mark, origin: input.origin })),
    length: packet.length,
    traffic: event.traffic ?? trafficOf(packet.length),
    observables: observables.filter(({ name }) => !name.startsWith('dst_endpoint.')),
  };
  if (list.length >= maxAlikes) list.length = 0;
  list.push(alike);
  return alike;
}

/**
 * Freezes what is taken over, and has the validator remember that it is valid. The event itself and its metadata are
 * copied, which would take ten times as long if they were frozen. `false` when a part is not valid.
 */
function sealParts(event: EventBody<NetworkActivity>): boolean {
  const { version, product, labels, profiles } = event.metadata;
  const seal = (name: ObjectName, part: object | undefined): void => {
    if (part !== undefined) sealPart(name, part, version);
  };
  try {
    seal('product', product);
    seal('device', event.device);
    seal('actor', event.actor);
    seal('network_connection_info', event.connection_info);
    seal('network_traffic', event.traffic);
    seal('firewall_rule', event.firewall_rule);
    seal('policy', event.policy);
    for (const attack of event.attacks ?? []) seal('attack', attack);
    for (const observable of event.observables) seal('observable', observable);
  } catch (error) {
    if (isTapwardenError(error, 'EVENT_INVALID')) return false;
    throw error;
  }
  for (const list of [labels, profiles, event.attacks]) deepFreeze(list);
  return true;
}

function isSameSender(alike: Alike, { uid, gid, mark, exec }: DeniedPacketInput, { source }: Packet): boolean {
  const isSameUser = alike.uid === uid && alike.gid === gid && alike.mark === mark;
  return isSameUser && alike.source === source.ip && alike.execId === exec?.id;
}

function listOf(context: EventContext, rule: FenceRule): Alike[] | undefined {
  const found = known.get(context)?.get(rule);
  if (found !== undefined || !isDeeplyFrozen(context) || !isDeeplyFrozen(rule)) return found;
  const list: Alike[] = [];
  const rules = known.get(context) ?? new WeakMap<FenceRule, Alike[]>();
  known.set(context, rules.set(rule, list));
  return list;
}

/** A number that packets have in common whose events differ only in what {@link fill} writes. */
function kindOf({ protocol, verdict }: DeniedPacketInput, { end, destination, tcpFlags }: Packet): number {
  const port = end.port !== undefined && knownPorts.includes(end.port) ? end.port : 0;
  const place = destination.boundaryId * 4 + (destination.versionId === 6 ? 2 : 0) + (destination.isMetadata ? 1 : 0);
  const how = verdict === 'tcp-reset' ? 0 : verdict === 'drop' ? 1 : 2;
  return (((protocol * 512 + place) * 1024 + port) * 4 + how) * 8192 + (tcpFlags ?? 4096);
}

/**
 * The event of a packet that is like another's but for its ends, its times and its record: what follows from class,
 * protocol, verdict, sender and context is taken over, captions and all. A test compares the result with `finish`.
 */
function fill(
  alike: Alike,
  context: EventContext,
  input: DeniedPacketInput,
  packet: Packet,
): EventBody<NetworkActivity> {
  const { event, observables } = alike;
  const { end } = packet;
  const rawLine = wellFormed(input.rawLine);
  const found = [...observables, observableOf('dst_endpoint.ip', end.ip)];
  if (end.port !== undefined) found.push(observableOf('dst_endpoint.port', String(end.port)));
  return {
    ...event,
    time: packet.time,
    message: messageOf(input, end),
    status_detail: adviceText(targetOf(input.protocol, end), packet.destination),
    raw_data: rawLine,
    raw_data_size: Buffer.byteLength(input.rawLine),
    metadata: {
      ...event.metadata,
      original_event_uid: String(packet.sequence),
      original_time: packet.originalTime,
    },
    src_endpoint: sourceOf(context, input, packet.source),
    dst_endpoint: end,
    traffic: packet.length === alike.length ? alike.traffic : trafficOf(packet.length),
    observables: found,
    unmapped: input.icmp === undefined ? alike.unmapped : unmappedOf(input),
  };
}

function targetOf(protocol: number, { ip, port }: CheckedEnd): RefusedTarget {
  return port === undefined ? { protocol, ip } : { protocol, ip, port };
}

type Source = Endpoint & { readonly ip: string };

function sourceOf({ sandboxId }: EventContext, input: DeniedPacketInput, { ip, port }: CheckedEnd): Source {
  const interfaceOut = wellFormed(input.interfaceOut);
  return port === undefined
    ? { ip, uid: sandboxId, interface_name: interfaceOut }
    : { ip, port, uid: sandboxId, interface_name: interfaceOut };
}

function trafficOf(length: number): Traffic {
  return { packets: 1, bytes: length, packets_out: 1, bytes_out: length };
}

/** What of an input makes its `unmapped`. */
type Unmapped = { readonly [Key in 'uid' | 'icmp' | 'exec' | 'mark' | 'origin']?: DeniedPacketInput[Key] | undefined };

function unmappedOf({ uid, icmp, exec, mark, origin }: Unmapped): JsonObject {
  const unmapped: Record<string, JsonValue> = { origin: originOf(origin, uid) };
  if (icmp !== undefined) {
    const [type, code] = [icmp.type, icmp.code];
    unmapped['icmp'] = {
      type: checkedInteger(type, 'icmp.type', 0, 255),
      code: checkedInteger(code, 'icmp.code', 0, 255),
    };
  }
  if (exec !== undefined) unmapped['exec'] = { id: wellFormed(exec.id) };
  if (mark !== undefined) unmapped['mark'] = checkedInteger(mark, 'mark', 0, 0xffffffff);
  return unmapped;
}
