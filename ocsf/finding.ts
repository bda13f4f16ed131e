import { firewallAttack, metadataApi, scanAttack } from './attack.ts';
import { checkedInteger } from './check.ts';
import { deviceOf, type EventContext, metadataOf } from './context.ts';
import type { DetectionFinding, EventBody, JsonObject } from './event.ts';
import { finish } from './finish.ts';
import { present } from './present.ts';
import type { ObjectOf } from './schema/types.ts';

/**
 * What a finding is of: `bypass-burst`, many refused packets; `network-scan`, of many destinations; `metadata-access`, of a
 * cloud's metadata service; `fence-bypassed`, packets that the guest's fence should have refused and the host's table
 * dropped; `ruleset-changed`, a ruleset that fences the sandbox and was changed by somebody else; `log-forged`, lines of the
 * kernel log that were made to look like those of the fence.
 */
export type FindingKind = keyof typeof kinds;

/** An event that a finding rests on. */
export type RelatedEvent = { readonly uid: string; readonly typeUid: number };

/** How a finding stands. */
export type FindingInput = {
  /** Epoch milliseconds by the host's clock. */
  readonly time: number;
  /** The same in all events of a finding, and in no other finding. Example: `fence-bypassed/0b0e0c1e-…/1`. */
  readonly uid: string;
  readonly kind: FindingKind;
  readonly step: 'opened' | 'updated' | 'closed';
  /** 3 Medium, 4 High, 5 Critical. */
  readonly severity: 3 | 4 | 5;
  /** What was found, in one sentence, without words of the workload but what was checked. */
  readonly message: string;
  /** Epoch milliseconds of the first and the last of what it rests on. */
  readonly firstSeen: number;
  readonly lastSeen: number;
  /** Events that it rests on, the first of them, and how many there are in all. */
  readonly related?: readonly RelatedEvent[];
  readonly relatedCount?: number;
  /** What a program wants to know of it. */
  readonly evidence?: JsonObject;
};

const kinds = {
  'bypass-burst': {
    title: 'Many attempts to go around the proxy',
    desc: 'The fence refused many packets of the workload within a short time.',
    remedy: "Look at 'tapwarden events --summary': it says what each program needs, or that nothing should be allowed.",
    confidence: 2,
    attacks: undefined,
  },
  'network-scan': {
    title: 'Network scan from the sandbox',
    desc: 'The workload tried many destinations or ports within a short time. All of it was refused.',
    remedy: 'Look at what the command runs; nothing of a scan needs to be allowed.',
    confidence: 2,
    attacks: [scanAttack],
  },
  'metadata-access': {
    title: 'Attempts to reach the cloud metadata service',
    desc: 'The workload tried to reach the address at which clouds hand out credentials. It was refused.',
    remedy: 'Give the workload what it needs explicitly, and look at which program asked.',
    confidence: 2,
    attacks: [metadataApi],
  },
  'fence-bypassed': {
    title: 'Packets went past the fence of the guest',
    desc: "The host dropped packets that the guest's own fence never lets out: somebody in the guest is root, or its kernel is in other hands. What the guest reports from then on is not to be relied on.",
    remedy:
      'Treat the guest as compromised: keep its log and image, and run nothing of value in it. The host let none of the packets through.',
    confidence: 3,
    attacks: undefined,
  },
  'ruleset-changed': {
    title: 'What fences the sandbox was changed',
    desc: 'A table that fences the sandbox, or a setting that it needs, is not as it was set. The events that this rests on say what was changed and whether it was put right.',
    remedy: 'Find out who changed it; a firewall manager of the host must leave the namespaces of sandboxes alone.',
    confidence: 3,
    attacks: [firewallAttack],
  },
  'log-forged': {
    title: 'Log lines were made to look like refused packets',
    desc: "Somebody made lines of the kernel log that begin as the fence's do, with a secret of the run that no workload can read. They pass for no attempt.",
    remedy:
      'Whoever made them is root where the fence stands, or takes another program for it: look at who that is. What the fence counted is not touched by them.',
    confidence: 3,
    attacks: undefined,
  },
} as const satisfies Readonly<Record<string, Kind>>;

type Kind = {
  readonly title: string;
  readonly desc: string;
  readonly remedy: string;
  readonly confidence: 1 | 2 | 3;
  readonly attacks: readonly ObjectOf<'attack'>[] | undefined;
};

/** Related events that a finding names; how many there are stands beside them. */
export const maxRelated = 20;

/** Create is New, Update In Progress; what is over is Resolved, which says nothing of what a person made of it. */
const steps = {
  opened: { activity: 1, status: 1 },
  updated: { activity: 2, status: 2 },
  closed: { activity: 3, status: 4 },
} as const;

/**
 * A finding that was opened, updated or closed: Detection Finding. One stands for a whole burst.
 *
 * @throws EVENT_INVALID when a number is out of its range
 * Source: OCSF detection_finding (2004)
 */
export function finding(context: EventContext, input: FindingInput): EventBody<DetectionFinding> {
  const { kind, step, related = [] } = input;
  const { title, desc, remedy, confidence, attacks }: Kind = kinds[kind];
  const firstSeen = checkedInteger(input.firstSeen, 'firstSeen');
  return finish<DetectionFinding>(
    present({
      time: checkedInteger(input.time, 'time'),
      class_uid: 2004 as const,
      activity_id: steps[step].activity,
      severity_id: input.severity,
      message: input.message,
      status_id: steps[step].status,
      is_alert: step !== 'closed',
      confidence_id: confidence,
      metadata: metadataOf(context, 'driver', 'finding'),
      device: deviceOf(context),
      finding_info: present({
        uid: input.uid,
        title,
        desc,
        types: [kind],
        analytic: { type_id: 1 as const, name: kind },
        created_time: firstSeen,
        first_seen_time: firstSeen,
        last_seen_time: checkedInteger(input.lastSeen, 'lastSeen', firstSeen),
        related_events:
          related.length === 0
            ? undefined
            : related.slice(0, maxRelated).map(({ uid, typeUid }) => ({ uid, type_uid: typeUid })),
        related_events_count:
          input.relatedCount === undefined ? undefined : checkedInteger(input.relatedCount, 'relatedCount', 1),
        attacks,
      }),
      remediation: { desc: remedy },
      unmapped: input.evidence === undefined ? undefined : { evidence: input.evidence },
    }),
  );
}
