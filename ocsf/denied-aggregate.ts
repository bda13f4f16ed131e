import { adviceText } from './advice.ts';
import { attacksOf } from './attack.ts';
import { checkedInteger, checkedIp } from './check.ts';
import { deviceOf, type EventContext, metadataOf, policyOf } from './context.ts';
import { classifyAddress, protocolName } from './destination.ts';
import type { EventBody, NetworkActivity } from './event.ts';
import { type FenceRule, fenceRuleOf } from './fence-rule.ts';
import { finish } from './finish.ts';
import { checkedEnd, type PacketEnd } from './packet.ts';
import { severityOf, targetOf } from './packet-text.ts';
import { present } from './present.ts';

const reasons = {
  'log-limit': 'the limit of the log rule withheld their lines',
  'records-lost': 'the kernel overwrote their records before they were read',
  'set-full': 'the set that counts by destination was full',
  'event-budget': 'the guest told of more than one sandbox may write',
  unlogged: 'the kernel cannot log',
  unreadable: 'their lines could not be read as records of the fence',
  unknown: 'the counters tell of them and the log does not',
} as const;

/** Why refused packets have no record of their own. */
export type AggregateReason = keyof typeof reasons;

/** Refused packets that a counter tells of and no log line. */
export type DeniedAggregateInput = {
  /** Epoch milliseconds by the host's clock, of the window in which they were refused. */
  readonly startTime: number;
  readonly endTime: number;
  /** Packets, at least 1. */
  readonly count: number;
  /** IANA protocol number, where the counter is one protocol's. */
  readonly protocol?: number;
  readonly ipVersion?: 4 | 6;
  readonly source: { readonly ip: string };
  /** Where they were to go, when they were counted by it. */
  readonly destination?: PacketEnd | undefined;
  /** The exec that sent them, when they were counted by it. */
  readonly exec?: { readonly id: string } | undefined;
  /** @default 'unknown' */
  readonly reason?: AggregateReason;
  readonly rule?: FenceRule;
};

/**
 * Packets that the fence refused and that have no event of their own: Network Activity, Refuse, with their `count`, and
 * with the destination and the exec where the fence counted by these. The sum of `count` over all Refuse events (1 where
 * it is absent) is the number of packets refused.
 *
 * With a destination it has the severity, the technique and the advice that an event of one such packet has.
 *
 * @throws EVENT_INVALID when a number is out of its range, or the window ends before it starts
 * Source: OCSF network_activity (4001)
 */
export function deniedAggregate(context: EventContext, input: DeniedAggregateInput): EventBody<NetworkActivity> {
  const start = checkedInteger(input.startTime, 'startTime');
  const end = checkedInteger(input.endTime, 'endTime', start);
  const count = checkedInteger(input.count, 'count', 1);
  const reason = input.reason ?? 'unknown';
  const protocol = input.protocol === undefined ? undefined : checkedInteger(input.protocol, 'protocol', 0, 255);
  const known = input.destination === undefined ? undefined : destinationOf(input.destination, protocol);
  const severity = known?.severity ?? 3;
  const packets = `${count} direct packet${count === 1 ? '' : 's'}`;
  return finish<NetworkActivity>(
    present({
      time: start,
      class_uid: 4001 as const,
      activity_id: 5 as const,
      severity_id: severity,
      message: `${packets}${known === undefined ? '' : ` to ${targetOf(known.end)}`} refused without an event of ${count === 1 ? 'its' : 'their'} own`,
      status_id: 2 as const,
      status_code: 'nft:refused',
      status_detail: `${known === undefined ? '' : `${known.advice} `}Counted by ${known === undefined ? 'kind' : 'destination'}, not told one by one: ${reasons[reason]}.`,
      ...(count === 1 ? {} : { count, start_time: start, end_time: end, duration: end - start }),
      action_id: 2 as const,
      disposition_id: 2 as const,
      is_alert: severity > 2,
      confidence_id: 1 as const,
      observation_point_id: 1 as const,
      metadata: metadataOf(context, 'fence', 'egress-denied-aggregate', {
        log_provider: 'nf_tables',
        labels: ['aggregate', 'origin:unverified'],
      }),
      device: deviceOf(context),
      src_endpoint: { ip: checkedIp(input.source.ip, 'source.ip'), uid: context.sandboxId },
      dst_endpoint: known?.end,
      connection_info: present({
        direction_id: 2 as const,
        boundary_id: known?.place.boundaryId,
        protocol_num: protocol,
        protocol_name: protocol === undefined ? undefined : protocolName(protocol),
        protocol_ver_id: known?.place.versionId ?? input.ipVersion,
      }),
      traffic: { packets: count, packets_out: count },
      firewall_rule: input.rule === undefined ? undefined : fenceRuleOf(context, input.rule),
      policy: policyOf(context),
      attacks: known?.attacks,
      unmapped: present({
        aggregation: { reason, window: { start_time: start, end_time: end }, packets: count },
        origin: { verified: false, method: 'counter', reason: 'process-not-attributed' },
        exec: input.exec === undefined ? undefined : { id: input.exec.id },
      }),
    }),
  );
}

function destinationOf(given: PacketEnd, protocol: number | undefined) {
  const end = checkedEnd(given, 'destination');
  const place = classifyAddress(end.ip);
  // Without a protocol nothing follows from the port, as for one that nobody knows.
  const number = protocol ?? 255;
  return {
    end,
    place,
    severity: severityOf(number, end.port, place),
    advice: adviceText({ protocol: number, ...end }, place),
    attacks:
      protocol === undefined
        ? undefined
        : attacksOf({
            protocol,
            ...(end.port === undefined ? {} : { port: end.port }),
            isMetadata: place.isMetadata,
            isInternal: place.boundaryId === 2,
          }),
  };
}
