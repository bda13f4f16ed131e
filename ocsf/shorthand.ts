import { activityCaptions, captions, classNames } from './captions.ts';
import { endOf, objectOf } from './short-object.ts';
import { at, numberAt, prefixed, safeText, shortLimits, textAt, word, wordAt } from './short-text.ts';

/** How a line is rendered. */
export type ShorthandOptions = {
  /** Colours severity and verdict with ANSI sequences, for a terminal. @default false */
  readonly color?: boolean;
};

/**
 * What a person wants to know of an event. Every text is on one line, escaped, quoted where it holds spaces, and bounded;
 * it is empty where the event says nothing.
 */
export type ShortFields = {
  /** ISO 8601 in UTC, or `?`. */
  readonly time: string;
  /** Class and activity. Example: `network/refuse`. */
  readonly kind: string;
  /** Upper case. Example: `MEDIUM`. */
  readonly severity: string;
  /** Example: `denied`. `-` where there is none. */
  readonly verdict: string;
  /** The sandbox, its exec, user and program. Example: `vm1 exec=exec-1 uid=1000`. */
  readonly subject: string;
  /** What it was done to. Example: `tcp 203.0.113.10:4444`. */
  readonly object: string;
  /** The rule that decided. */
  readonly rule: string;
  /** Why, and what to change: sentences in quotes. */
  readonly why: string;
  /** How often, and sums. Example: `x37/59.5s`. */
  readonly counts: string;
  /** Labels and techniques in brackets. Example: `[T1571 origin:unverified]`. */
  readonly flags: string;
};

/** A line of {@link renderShort} has at most this many characters, the sequences of colours apart. */
export const maxShortLength = 6000;

/** Classes whose message says in a sentence what the object of the line says already. */
const toldByObject: ReadonlySet<number> = new Set([1007, 4001, 4002, 4003]);
const maxLabels = 8;
const maxAttacks = 4;

const severityColors: Readonly<Record<number, string>> = { 3: '33', 4: '31', 5: '31;1', 6: '31;1' };
const verdictColors: Readonly<Record<string, string>> = {
  denied: '31',
  allowed: '32',
  failed: '33',
  failure: '33',
  success: '32',
};

/**
 * One line for a person, made from the event alone: time, class/activity, severity, verdict, who, where to, rule, why
 * and what to do, how often, labels. It is total: any JSON value gives a line, and every text from the event is
 * escaped and bounded.
 *
 * Example: `2026-09-21T14:13:20.123Z network/refuse MEDIUM denied vm1 uid=1000 > tcp 203.0.113.10:4444 rule=tcp
 * "Only the proxy leads out; …" [T1571 origin:unverified]`
 */
export function renderShort(event: unknown, options: ShorthandOptions = {}): string {
  if (typeof event !== 'object' || event === null || Array.isArray(event)) {
    return `not an event: ${safeText(event, shortLimits.sentence)}`;
  }
  const { time, kind, severity, verdict, subject, object, rule, why, counts, flags } = shortFields(event);
  return [
    time,
    kind,
    paintSeverity(severity, event, options),
    paintVerdict(verdict, options),
    subject,
    ...(object === '' ? [] : ['>', object]),
    ...(rule === '' ? [] : [`rule=${rule}`]),
    ...[why, counts, flags].filter((part) => part !== ''),
  ].join(' ');
}

/** The parts of the line, for other forms of it. Total, as {@link renderShort} is. */
export function shortFields(event: object): ShortFields {
  const object = objectOf(event);
  return {
    time: timeOf(at(event, 'time')),
    kind: kindOf(event),
    severity: captionOf(event, 'severity').toUpperCase(),
    verdict: verdictOf(event),
    subject: subjectOf(event),
    object: object.join(' '),
    rule: textAt(event, ['firewall_rule.name', 'firewall_rule.uid', 'finding_info.analytic.name']) ?? '',
    why: whyOf(event, object.length > 0).join(' '),
    counts: [...countOf(event), ...trafficOf(event), ...sumsOf(event)].join(' '),
    flags: flagsOf(event),
  };
}

/** A severity as {@link shortFields} gives it, in the colour of its level. */
export function paintSeverity(text: string, event: object, options: ShorthandOptions): string {
  return paint(text, severityColors[numberAt(event, 'severity_id') ?? -1], options);
}

/** A verdict as {@link shortFields} gives it, in its colour. Spaces around it do not matter. */
export function paintVerdict(text: string, options: ShorthandOptions): string {
  return paint(text, verdictColors[text.trim()], options);
}

function timeOf(time: unknown): string {
  // 8.64e15 is the last instant that Date knows.
  if (typeof time !== 'number' || !(Math.abs(time) <= 8.64e15)) return '?';
  return new Date(time).toISOString();
}

function kindOf(event: object): string {
  const uid = numberAt(event, 'class_uid') ?? -1;
  const activity = activityCaptions.get(uid)?.get(numberAt(event, 'activity_id') ?? -1);
  const name = wordAt(event, 'activity_name') ?? (activity === undefined ? '?' : word(activity));
  const className = classNames.get(uid)?.short ?? wordAt(event, 'class_name') ?? (uid === -1 ? '?' : `class-${uid}`);
  return `${className}/${name}`;
}

/** The caption beside an id; from our own table where the event, which need not have it, leaves it out. */
function captionOf(event: object, name: keyof typeof captions): string {
  const caption = captions[name].get(numberAt(event, `${name}_id`) ?? -1);
  return wordAt(event, name) ?? caption?.toLowerCase() ?? '?';
}

function verdictOf(event: object): string {
  // A request that the policy allowed and the network did not.
  if (at(event, 'action_id') === 1 && at(event, 'status_id') === 2) return 'failed';
  const action = captionOf(event, 'action');
  if (action !== '?') return action;
  // The ids of a finding's status mean something else, so only its own caption is shown.
  const status = at(event, 'class_uid') === 2004 ? (wordAt(event, 'status') ?? '?') : captionOf(event, 'status');
  return status === '?' ? '-' : status;
}

function subjectOf(event: object): string {
  const device = textAt(event, ['device.uid', 'device.hostname', 'device.name', 'device.ip', 'resources.0.uid']);
  const program = textAt(event, ['actor.process.name', 'actor.process.file.path']);
  const pid = numberAt(event, 'actor.process.pid');
  return [
    device ?? textAt(event, 'evidences.0.device.uid') ?? endOf(event, 'src_endpoint') ?? '-',
    ...prefixed('exec=', textAt(event, 'unmapped.exec.id')),
    ...prefixed('uid=', textAt(event, ['actor.user.uid', 'actor.process.user.uid', 'process.user.uid'])),
    ...prefixed('proc=', program === undefined ? pid : `${program}${pid === undefined ? '' : `(${pid})`}`),
  ].join(' ');
}

/** Why, and what to change; the message where it says more than the line does already. */
function whyOf(event: object, hasObject: boolean): readonly string[] {
  const reason = ['status_detail', 'finding_info.desc'].map((path) => at(event, path)).find(isText);
  const message = at(event, 'message');
  const told = toldByObject.has(numberAt(event, 'class_uid') ?? -1) && hasObject;
  const why = reason ?? (told || !isText(message) ? undefined : message);
  const remedy = at(event, 'remediation.desc');
  return [
    ...(why === undefined ? [] : [safeText(why, shortLimits.sentence)]),
    ...(isText(remedy) ? [`fix=${safeText(remedy, shortLimits.sentence)}`] : []),
  ];
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}

function countOf(event: object): readonly string[] {
  const count = numberAt(event, 'count');
  if (count === undefined) return [];
  const duration = numberAt(event, 'duration');
  return [duration === undefined ? `x${count}` : `x${count}/${duration / 1000}s`];
}

/** What went both ways, where somebody counted it. */
function trafficOf(event: object): readonly string[] {
  const [inward, outward] = [numberAt(event, 'traffic.bytes_in'), numberAt(event, 'traffic.bytes_out')];
  return inward === undefined || outward === undefined ? [] : [`in=${inward}`, `out=${outward}`];
}

/** The sums that the stop of a sandbox carries. */
function sumsOf(event: object): readonly string[] {
  return ['allowed', 'denied', 'attempts', 'lost'].flatMap((name) =>
    prefixed(`${name}=`, textAt(event, `unmapped.counts.${name}`)),
  );
}

function flagsOf(event: object): string {
  const attacks = at(event, 'attacks') ?? at(event, 'finding_info.attacks');
  const techniques = Array.isArray(attacks) ? attacks.slice(0, maxAttacks).map(techniqueOf) : [];
  const labels = at(event, 'metadata.labels');
  const flags = Array.isArray(labels)
    ? labels.slice(0, maxLabels).map((label) => safeText(label, shortLimits.name))
    : [];
  const truncated = at(event, 'metadata.is_truncated') === true ? ['truncated'] : [];
  const all = [...techniques.filter((uid) => uid !== undefined), ...flags, ...truncated];
  return all.length === 0 ? '' : `[${all.join(' ')}]`;
}

function techniqueOf(attack: unknown): string | undefined {
  if (typeof attack !== 'object' || attack === null) return undefined;
  return textAt(attack, ['sub_technique.uid', 'technique.uid', 'tactic.uid']);
}

function paint(text: string, color: string | undefined, options: ShorthandOptions): string {
  return options.color === true && color !== undefined ? `\x1b[${color}m${text}\x1b[0m` : text;
}
