import { adviceText } from './advice.ts';
import { attacksOf } from './attack.ts';
import { deviceOf, type EventContext, metadataOf, policyOf } from './context.ts';
import { protocolName } from './destination.ts';
import type { EventBody, NetworkActivity } from './event.ts';
import { eventLike } from './event-like.ts';
import { fenceRuleOf, kernelUser, statusCodes } from './fence-rule.ts';
import { finish } from './finish.ts';
import { type DeniedPacketInput, type Packet, readPacket } from './packet.ts';
import { confidenceOf, processOf } from './packet-origin.ts';
import { sourceOf, targetOf, trafficOf, unmappedOf } from './packet-parts.ts';
import { messageOf } from './packet-text.ts';
import { present } from './present.ts';
import type { ObjectOf } from './schema/types.ts';

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
  return eventLike(context, input, draftOf) ?? finish<NetworkActivity>(draftOf(context, input, readPacket(input)));
}

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
