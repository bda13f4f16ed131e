import { isTapwardenError } from '../base/index.ts';
import { adviceText } from './advice.ts';
import type { EventContext } from './context.ts';
import type { EventBody, JsonObject, NetworkActivity, Observable } from './event.ts';
import type { FenceRule, Verdict } from './fence-rule.ts';
import { finish, wellFormed } from './finish.ts';
import { deepFreeze, isDeeplyFrozen } from './frozen.ts';
import { type EndParts, type KnownEnds, knownEnd, rememberEnd } from './known-ends.ts';
import { observableOf } from './observables.ts';
import { type DeniedPacketInput, type Packet, type PacketRecord, readPacket, readRecord } from './packet.ts';
import { keyOf } from './packet-origin.ts';
import { sourceOf, targetOf, trafficOf, unmappedOf } from './packet-parts.ts';
import { knownPorts, messageOf } from './packet-text.ts';
import type { ObjectName } from './schema/objects.ts';
import type { ObjectOf } from './schema/types.ts';
import type { SchemaVersion } from './schema/versions.ts';
import { keepText } from './serialize.ts';
import { sealPart } from './validate/validate-event.ts';

/** An event as {@link finish} made it, and what it was made from as far as other events may have it otherwise. */
type Alike = {
  readonly event: EventBody<NetworkActivity>;
  readonly kind: number;
  readonly protocol: number;
  readonly verdict: Verdict;
  readonly tcpFlags: number | undefined;
  readonly source: string;
  /** The same as the kernel writes it. */
  readonly givenSource: string;
  readonly uid: number | undefined;
  readonly gid: number | undefined;
  readonly mark: number | undefined;
  readonly execId: string | undefined;
  readonly origin: string;
  /** Those of packets without ICMP. */
  readonly unmapped: JsonObject;
  readonly length: number;
  readonly traffic: ObjectOf<'network_traffic'>;
  /** The observables of the sandbox, the user and the source. */
  readonly observables: readonly Observable[];
  readonly ends: KnownEnds;
};

/** What a context and a rule lead to. */
type Known = {
  readonly alikes: Alike[];
  /** How many ends they remember. */
  ends: number;
};

// For contexts and rules that cannot change any more. Callers cannot tell that it is kept.
const knownByContext = new WeakMap<EventContext, WeakMap<FenceRule, Known>>();

/** Alikes that are kept for one rule of one context; a workload that makes up more of them than this starts anew. */
const maxAlikes = 64;

/** Ends that are kept for one rule of one context, of about 2 kB each. */
const maxEnds = 2048;

/** Characters of a raw line that {@link fill} takes without cutting. */
const maxLength = 1024;

/** What is told of a packet of which nothing is known that is like it. */
type Draft = (context: EventContext, input: DeniedPacketInput, packet: Packet) => NetworkActivity;

/**
 * The event of a packet, by what earlier packets of the same kind and sender gave: a test compares it with what
 * {@link finish} makes of the draft. `undefined` where context or rule may change, or a text is so long that it is cut.
 *
 * @throws EVENT_INVALID when an address, port or number is out of its range
 */
export function eventLike(
  context: EventContext,
  input: DeniedPacketInput,
  draftOf: Draft,
): EventBody<NetworkActivity> | undefined {
  // Everything else of a packet is as short as its check says.
  if (input.rawLine.length > maxLength || input.interfaceOut.length > 16) return undefined;
  if (input.exec !== undefined && input.exec.id.length > 64) return undefined;
  const known = knownOf(context, input.rule);
  if (known === undefined) return undefined;
  const origin = keyOf(input.origin, input.time);
  return again(known, context, input, origin) ?? anew(known, context, input, origin, draftOf);
}

function knownOf(context: EventContext, rule: FenceRule): Known | undefined {
  const found = knownByContext.get(context)?.get(rule);
  if (found !== undefined || !isDeeplyFrozen(context) || !isDeeplyFrozen(rule)) return found;
  const known: Known = { alikes: [], ends: 0 };
  const rules = knownByContext.get(context) ?? new WeakMap<FenceRule, Known>();
  knownByContext.set(context, rules.set(rule, known));
  return known;
}

/** The event of a packet to an end that an earlier one had: what was checked then is not checked again. */
function again(
  { alikes }: Known,
  context: EventContext,
  input: DeniedPacketInput,
  origin: string,
): EventBody<NetworkActivity> | undefined {
  for (const alike of alikes) {
    const isSame = alike.protocol === input.protocol && alike.verdict === input.verdict;
    if (!isSame || alike.tcpFlags !== input.tcpFlags || alike.givenSource !== input.source.ip) continue;
    if (alike.origin !== origin || !isSameSender(alike, input)) continue;
    const known = knownEnd(alike.ends, input.destination);
    if (known === undefined) continue;
    // Not before: an end that is met once only is not worth it.
    known.parts ??= sealEnd(endParts(alike, input, known), alike.event.metadata.version);
    return fill(alike, context, input, readRecord(input), known.parts);
  }
  return undefined;
}

/** The event of a packet to another end, which is remembered. */
function anew(
  known: Known,
  context: EventContext,
  input: DeniedPacketInput,
  origin: string,
  draftOf: Draft,
): EventBody<NetworkActivity> {
  const packet = readPacket(input);
  const found =
    alikeOf(known, input, packet, origin) ?? learn(known, draftOf(context, input, packet), input, packet, origin);
  if ('time' in found) return found;
  if (known.ends >= maxEnds) {
    for (const { ends } of known.alikes) ends.clear();
    known.ends = 0;
  }
  known.ends += 1;
  rememberEnd(found.ends, input.destination, packet);
  return fill(found, context, input, packet, endParts(found, input, packet));
}

function alikeOf({ alikes }: Known, input: DeniedPacketInput, packet: Packet, origin: string): Alike | undefined {
  const kind = kindOf(input, packet);
  for (const alike of alikes) {
    if (alike.kind !== kind || alike.origin !== origin || alike.source !== packet.source.ip) continue;
    if (isSameSender(alike, input)) return alike;
  }
  return undefined;
}

/** What a packet gives for later ones; its event, where that is not to be repeated. */
function learn(
  { alikes }: Known,
  draft: NetworkActivity,
  input: DeniedPacketInput,
  packet: Packet,
  origin: string,
): Alike | EventBody<NetworkActivity> {
  const event = finish<NetworkActivity>(draft);
  if (event.metadata.is_truncated === true || !sealParts(event)) return event;
  const { protocol, verdict, tcpFlags, uid, gid, mark, exec } = input;
  const observables: readonly Observable[] = event.observables;
  const alike: Alike = {
    ...{ event, kind: kindOf(input, packet), protocol, verdict, tcpFlags, uid, gid, mark, origin },
    source: packet.source.ip,
    givenSource: input.source.ip,
    execId: exec?.id,
    unmapped: deepFreeze(unmappedOf({ uid, exec, mark, origin: input.origin })),
    length: packet.length,
    traffic: event.traffic ?? trafficOf(packet.length),
    observables: observables.filter(({ name }) => !name.startsWith('dst_endpoint.')),
    ends: new Map(),
  };
  if (alikes.length >= maxAlikes) alikes.length = 0;
  alikes.push(alike);
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

/** Freezes what events to one end have in common. Where a part is not valid, each event will be found so. */
function sealEnd(parts: EndParts, version: SchemaVersion): EndParts {
  try {
    sealPart('network_endpoint', parts.end, version);
    for (const observable of parts.observables) sealPart('observable', observable, version);
    deepFreeze(parts);
    keepText(parts.end);
    keepText(parts.observables);
    return parts;
  } catch (error) {
    if (isTapwardenError(error, 'EVENT_INVALID')) return parts;
    throw error;
  }
}

function isSameSender(alike: Alike, { uid, gid, mark, exec }: DeniedPacketInput): boolean {
  return alike.uid === uid && alike.gid === gid && alike.mark === mark && alike.execId === exec?.id;
}

/** A number that packets have in common whose events differ only in what {@link fill} writes. */
function kindOf({ protocol, verdict }: DeniedPacketInput, { end, destination, tcpFlags }: Packet): number {
  const port = end.port !== undefined && knownPorts.includes(end.port) ? end.port : 0;
  const place = destination.boundaryId * 4 + (destination.versionId === 6 ? 2 : 0) + (destination.isMetadata ? 1 : 0);
  const how = verdict === 'tcp-reset' ? 0 : verdict === 'drop' ? 1 : 2;
  return (((protocol * 512 + place) * 1024 + port) * 4 + how) * 8192 + (tcpFlags ?? 4096);
}

/** What follows from where a packet was to go. */
function endParts(
  { observables }: Alike,
  input: DeniedPacketInput,
  { end, destination }: Pick<Packet, 'end' | 'destination'>,
): EndParts {
  const found = [...observables, observableOf('dst_endpoint.ip', end.ip)];
  if (end.port !== undefined) found.push(observableOf('dst_endpoint.port', String(end.port)));
  return {
    end,
    message: messageOf(input, end),
    detail: adviceText(targetOf(input.protocol, end), destination),
    observables: found,
  };
}

/**
 * The event of a packet that is like another's but for its ends, its times and its record: what follows from class,
 * protocol, verdict, sender and context is taken over, captions and all.
 */
function fill(
  alike: Alike,
  context: EventContext,
  input: DeniedPacketInput,
  record: PacketRecord,
  { end, message, detail, observables }: EndParts,
): EventBody<NetworkActivity> {
  const { event } = alike;
  return {
    ...event,
    time: record.time,
    // Of ICMP it tells the type, which is not that of the end.
    message: input.icmp === undefined ? message : messageOf(input, end),
    status_detail: detail,
    raw_data: wellFormed(input.rawLine),
    raw_data_size: Buffer.byteLength(input.rawLine),
    metadata: {
      ...event.metadata,
      original_event_uid: String(record.sequence),
      original_time: record.originalTime,
    },
    src_endpoint: sourceOf(context, input, { ip: alike.source, port: record.sourcePort }),
    dst_endpoint: end,
    traffic: record.length === alike.length ? alike.traffic : trafficOf(record.length),
    observables,
    unmapped: input.icmp === undefined ? alike.unmapped : unmappedOf(input),
  };
}
