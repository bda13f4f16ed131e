import { attacksOf } from './attack.ts';
import { checkedInteger, checkedIp, checkedText } from './check.ts';
import { deviceOf, type EventContext, metadataOf, policyOf } from './context.ts';
import { classifyAddress, type Destination, protocolName } from './destination.ts';
import type { Endpoint, EventBody, NetworkActivity } from './event.ts';
import { type FenceRule, fenceRuleOf, kernelUser, statusCodes, type Verdict } from './fence-rule.ts';
import { finish } from './finish.ts';
import { present } from './present.ts';

/** An address, and a port where the protocol has ports. */
export type PacketEnd = { readonly ip: string; readonly port?: number };

/** One packet that the fence refused, as the kernel's log line tells it. */
export type DeniedPacketInput = {
  /** Epoch milliseconds by the host's clock, when the host learnt of it. */
  readonly time: number;
  /** Seconds and microseconds since the guest booted, for example `'1843.220114'`. */
  readonly originalTime: string;
  /** IANA protocol number. */
  readonly protocol: number;
  readonly source: PacketEnd;
  readonly destination: PacketEnd;
  readonly interfaceOut: string;
  /** Bytes of the IP packet. */
  readonly length: number;
  /** Owner of the socket. */
  readonly uid?: number;
  readonly gid?: number;
  /** The packet mark, which names the exec. */
  readonly mark?: number;
  /** The flag bits of the TCP header, for example 2 for SYN. */
  readonly tcpFlags?: number;
  readonly icmp?: { readonly type: number; readonly code: number };
  /** Sequence number of the kernel's log record. */
  readonly sequence: number;
  /** The exec that the mark stands for. */
  readonly exec?: { readonly id: string };
  readonly rawLine: string;
  readonly rule: FenceRule;
  readonly verdict: Verdict;
};

/**
 * A packet that tried to leave by another way than the proxy: Network Activity, Refuse.
 *
 * The process is not named, because the kernel's line does not name it; the user is, and the exec in `unmapped.exec`.
 *
 * @throws EVENT_INVALID when an address, port or number is out of its range
 * Source: OCSF network_activity (4001)
 */
export function deniedPacket(context: EventContext, input: DeniedPacketInput): EventBody<NetworkActivity> {
  const protocol = checkedInteger(input.protocol, 'protocol', 0, 255);
  const source = checkedEnd(input.source, 'source');
  const end = checkedEnd(input.destination, 'destination');
  const length = checkedInteger(input.length, 'length', 0, 0xffffffff);
  const destination = classifyAddress(end.ip);
  const severity = severityOf(protocol, end.port, destination);
  return finish<NetworkActivity>(
    present({
      time: checkedInteger(input.time, 'time'),
      class_uid: 4001 as const,
      activity_id: 5 as const,
      severity_id: severity,
      message: messageOf(input, end),
      status_id: 2 as const,
      status_code: statusCodes[input.verdict],
      status_detail: adviceOf(protocol, end, destination),
      action_id: 2 as const,
      disposition_id: 2 as const,
      is_alert: severity > 2,
      // The confidence in who sent it; that it was refused is certain.
      confidence_id: 1 as const,
      observation_point_id: 1 as const,
      raw_data: input.rawLine,
      raw_data_size: Buffer.byteLength(input.rawLine),
      metadata: metadataOf(context, 'fence', 'egress-denied', {
        log_provider: 'nf_tables',
        log_source: '/dev/kmsg',
        log_format: 'kmsg',
        original_event_uid: String(checkedInteger(input.sequence, 'sequence')),
        original_time: checkedText(input.originalTime, 'originalTime', /^\d{1,12}\.\d{6}$/, 'seconds.micros'),
        labels: ['origin:unverified'],
      }),
      device: deviceOf(context),
      actor: kernelUser(input.uid, input.gid),
      src_endpoint: present({ ...source, uid: context.sandboxId, interface_name: input.interfaceOut }),
      dst_endpoint: end,
      connection_info: present({
        direction_id: 2 as const,
        boundary_id: destination.boundaryId,
        protocol_num: protocol,
        protocol_name: protocolName(protocol),
        protocol_ver_id: destination.versionId,
        tcp_flags: optionalInteger(input.tcpFlags, 'tcpFlags', 0xfff),
      }),
      traffic: { packets: 1, bytes: length, packets_out: 1, bytes_out: length },
      firewall_rule: fenceRuleOf(context, input.rule, input.verdict),
      policy: policyOf(context),
      attacks: attacksOf({
        protocol,
        ...(end.port === undefined ? {} : { port: end.port }),
        isMetadata: destination.isMetadata,
        isInternal: destination.boundaryId === 2,
      }),
      unmapped: unmappedOf(input),
    }),
  );
}

function checkedEnd(end: PacketEnd, where: string): Endpoint & { readonly ip: string } {
  return present({ ip: checkedIp(end.ip, `${where}.ip`), port: optionalInteger(end.port, `${where}.port`, 65535) });
}

function optionalInteger(value: number | undefined, where: string, max: number): number | undefined {
  return value === undefined ? undefined : checkedInteger(value, where, 0, max);
}

function severityOf(protocol: number, port: number | undefined, destination: Destination): 2 | 3 | 4 {
  if (destination.isMetadata) return 4;
  return (protocol === 6 || protocol === 17) && (port === 53 || port === 123) ? 2 : 3;
}

function messageOf(input: DeniedPacketInput, end: Endpoint & { readonly ip: string }): string {
  const target = targetOf(end);
  const done = input.verdict === 'drop' ? 'dropped' : 'refused';
  if (input.icmp !== undefined) return `Direct ICMP packet (type ${input.icmp.type}) to ${target} ${done}`;
  if (input.protocol === 6) return `Direct TCP connection to ${target} ${done}`;
  const title = protocolTitle(input.protocol);
  return `Direct ${title.includes(' ') ? `packet of ${title}` : `${title} packet`} to ${target} ${done}`;
}

/** The protocol in a sentence: `UDP`, or `protocol 253` where it has no name. */
function protocolTitle(protocol: number): string {
  const name = protocolName(protocol);
  return name === String(protocol) ? `protocol ${name}` : name.toUpperCase();
}

/** Why the packet was refused, and what its owner can do. */
function adviceOf(protocol: number, end: Endpoint & { readonly ip: string }, destination: Destination): string {
  if (destination.isMetadata) {
    return 'The cloud metadata service hands out credentials and is closed to sandboxes; give the workload what it needs explicitly.';
  }
  if (destination.boundaryId === 1) {
    return 'Nothing but the proxy can be reached on loopback through the fence; use HTTPS_PROXY.';
  }
  if (protocol === 6 || protocol === 17) {
    if (end.port === 53 || end.port === 853) {
      return 'Direct DNS is not permitted; the proxy resolves names, so send requests through HTTPS_PROXY with the name in them.';
    }
    if (end.port === 123) return 'Direct NTP is not permitted; the guest keeps time by its virtual clock.';
  }
  if (protocol === 6 && (end.port === 80 || end.port === 443)) {
    return 'The program did not use the proxy; make it honour HTTP_PROXY and HTTPS_PROXY, and allow the host in the policy.';
  }
  if (protocol === 6) {
    return `Only the proxy leads out; use CONNECT through HTTPS_PROXY with the host allowed in the policy, or add a direct rule for ${targetOf(end)} to the policy.`;
  }
  return `Only the proxy leads out, and ${protocolTitle(protocol)} cannot pass it; add a direct rule for ${targetOf(end)} to the policy if it is needed.`;
}

function targetOf(end: { readonly ip: string; readonly port?: number }): string {
  if (end.port === undefined) return end.ip;
  return end.ip.includes(':') ? `[${end.ip}]:${end.port}` : `${end.ip}:${end.port}`;
}

function unmappedOf(input: DeniedPacketInput) {
  return present({
    origin: {
      verified: false,
      method: input.uid === undefined ? 'kernel-log' : 'kernel-log-uid',
      reason: 'process-not-attributed',
    },
    icmp:
      input.icmp === undefined
        ? undefined
        : {
            type: checkedInteger(input.icmp.type, 'icmp.type', 0, 255),
            code: checkedInteger(input.icmp.code, 'icmp.code', 0, 255),
          },
    exec: input.exec === undefined ? undefined : { id: input.exec.id },
    mark: optionalInteger(input.mark, 'mark', 0xffffffff),
  });
}
