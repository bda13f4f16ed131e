import { checkedInteger } from './check.ts';
import { deviceOf, type EventContext, metadataOf } from './context.ts';
import type { EventBody, EventInput } from './event.ts';
import { finish } from './finish.ts';

const links = {
  sent: 'the guest could not send a packet from the workload’s network namespace',
  refused: 'the fence did not refuse a packet that it must refuse',
  logged: 'a refused packet left no line in the kernel log',
  read: 'the kernel log could not be read to its end',
  reported: 'the guest told nothing of its canaries any more',
} as const;

/** What of the way from a refused packet to the host's record broke. */
export type CanaryLink = keyof typeof links;

/** A canary that was missed, or is seen again. */
export type CanaryMissedInput = {
  /** Epoch milliseconds by the host's clock. */
  readonly time: number;
  /** `create` when it is missed first, `update` while it stays so, `close` when it is seen again, or the run ends. */
  readonly step: 'create' | 'update' | 'close';
  /** The same for all events of one finding. */
  readonly uid: string;
  readonly link: CanaryLink;
  /** The packet that it was seen by, where it was one: protocol and version of IP. */
  readonly packet: 'tcp4' | 'tcp6' | 'udp4' | 'udp6' | null;
  /** Epoch milliseconds: when it was missed first. */
  readonly since: number;
  /** Rounds that were missed up to now, at least 1. */
  readonly missed: number;
};

const steps = { create: [1, 1], update: [2, 2], close: [3, 4] } as const;

/**
 * A canary was not refused, logged, read and reported, or is again: Detection Finding, severity High. While one is open,
 * attempts of the workload may go untold.
 *
 * @throws EVENT_INVALID when a number is out of its range
 * Source: OCSF detection_finding (2004)
 */
export function canaryMissed(context: EventContext, input: CanaryMissedInput): EventBody<EventInput<2004>> {
  const [activity, status] = steps[input.step];
  const since = checkedInteger(input.since, 'since');
  const time = checkedInteger(input.time, 'time', since);
  const missed = checkedInteger(input.missed, 'missed', 1);
  const packet = input.packet === null ? '' : ` (${input.packet})`;
  return finish<EventInput<2004>>({
    time,
    class_uid: 2004,
    activity_id: activity,
    severity_id: 4,
    status_id: status,
    message:
      input.step === 'close'
        ? 'Canaries are seen again'
        : `A canary was missed ${missed === 1 ? 'once' : `${missed} times`}: ${links[input.link]}`,
    status_detail: `The link that broke: ${input.link}; ${links[input.link]}${packet}.`,
    is_alert: true,
    confidence_id: 3,
    device: deviceOf(context),
    metadata: metadataOf(context, 'fence', 'canary-missed'),
    finding_info: {
      uid: input.uid,
      title: 'Refused packets may go untold',
      desc: 'Packets by which the fence is tried must be refused, logged, read and reported. One was not.',
      types: ['canary-missed'],
      analytic: { type_id: 1, name: 'canary' },
      first_seen_time: since,
      last_seen_time: time,
    },
    remediation: {
      desc: 'End the sandbox, and take its record from then on as not complete. If it happens again, rebuild the guest image and report it.',
    },
    unmapped: { canary: { link: input.link, ...(input.packet === null ? {} : { packet: input.packet }), missed } },
  });
}
