import { quoteText } from '../base/index.ts';

/** How a line is rendered. */
export type ShorthandOptions = {
  /** Colours severity and verdict with ANSI sequences, for a terminal. @default false */
  readonly color?: boolean;
};

const maxFieldLength = 255;
const maxSentenceLength = 400;

const classNames: Readonly<Record<number, string>> = {
  0: 'base',
  1007: 'process',
  1008: 'log',
  4001: 'network',
  4002: 'http',
  6002: 'sandbox',
};

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
 * "Only the proxy leads out; …" [origin:unverified]`
 */
export function renderShort(event: unknown, options: ShorthandOptions = {}): string {
  if (typeof event !== 'object' || event === null || Array.isArray(event)) return `not an event: ${field(event)}`;
  const verdict = verdictOf(event);
  const severity = textAt(event, 'severity') ?? '?';
  return [
    timeOf(at(event, 'time')),
    kindOf(event),
    paint(severity.toUpperCase(), severityColors[numberAt(event, 'severity_id') ?? -1], options),
    paint(verdict, verdictColors[verdict], options),
    subjectOf(event),
    ...objectOf(event),
    ...prefixed('rule=', textAt(event, 'firewall_rule.name')),
    ...sentenceOf(event),
    ...countOf(event),
    ...sumsOf(event),
    ...flagsOf(event),
  ].join(' ');
}

function timeOf(time: unknown): string {
  // 8.64e15 is the last instant that Date knows.
  if (typeof time !== 'number' || !(Math.abs(time) <= 8.64e15)) return '?';
  return new Date(time).toISOString();
}

function kindOf(event: object): string {
  const uid = numberAt(event, 'class_uid');
  const name = uid === undefined ? undefined : classNames[uid];
  const activity = (textAt(event, 'activity_name') ?? '?').toLowerCase();
  return `${name ?? (textAt(event, 'class_name') ?? '?').toLowerCase()}/${activity}`;
}

function verdictOf(event: object): string {
  // A request that the policy allowed and the network did not.
  if (at(event, 'action_id') === 1 && at(event, 'status_id') === 2) return 'failed';
  return (textAt(event, 'action') ?? textAt(event, 'status') ?? '-').toLowerCase();
}

function subjectOf(event: object): string {
  const user = textAt(event, 'actor.user.uid') ?? textAt(event, 'process.user.uid');
  const exec = textAt(event, 'unmapped.exec.id');
  return [textAt(event, 'device.uid') ?? '-', ...prefixed('exec=', exec), ...prefixed('uid=', user)].join(' ');
}

function objectOf(event: object): readonly string[] {
  const command = textAt(event, 'process.cmd_line');
  if (command !== undefined) return ['>', command, ...prefixed('', textAt(event, 'status_code'))];
  const end = endOf(event);
  const protocol = protocolOf(event);
  if (end === undefined && protocol === undefined) return [];
  const via = prefixed('via ', textAt(event, 'proxy_endpoint.name'));
  return ['>', protocol ?? '-', end ?? '(no destination)', ...via];
}

function protocolOf(event: object): string | undefined {
  const name = textAt(event, 'connection_info.protocol_name');
  return name !== undefined && /^\d+$/.test(name) ? `protocol-${name}` : name;
}

function endOf(event: object): string | undefined {
  const ip = textAt(event, 'dst_endpoint.ip');
  const host = textAt(event, 'dst_endpoint.hostname') ?? (ip?.includes(':') === true ? `[${ip}]` : ip);
  if (host === undefined) return undefined;
  const port = numberAt(event, 'dst_endpoint.port');
  return port === undefined ? host.replace(/^\[(.*)\]$/, '$1') : `${host}:${port}`;
}

function sentenceOf(event: object): readonly string[] {
  const sentence = at(event, 'status_detail');
  if (typeof sentence === 'string') return [quoteText(sentence, maxSentenceLength)];
  const shownOtherwise = endOf(event) !== undefined || at(event, 'process.cmd_line') !== undefined;
  const message = at(event, 'message');
  return shownOtherwise || typeof message !== 'string' ? [] : [quoteText(message, maxSentenceLength)];
}

function countOf(event: object): readonly string[] {
  const count = numberAt(event, 'count');
  if (count === undefined) return [];
  const duration = numberAt(event, 'duration');
  return [duration === undefined ? `x${count}` : `x${count}/${duration / 1000}s`];
}

/** The sums that the stop of a sandbox carries. */
function sumsOf(event: object): readonly string[] {
  return ['allowed', 'denied', 'attempts', 'lost'].flatMap((name) =>
    prefixed(`${name}=`, textAt(event, `unmapped.counts.${name}`)),
  );
}

function flagsOf(event: object): readonly string[] {
  const labels = at(event, 'metadata.labels');
  const flags = Array.isArray(labels) ? labels.slice(0, 8).map(field) : [];
  const all = at(event, 'metadata.is_truncated') === true ? [...flags, 'truncated'] : flags;
  return all.length === 0 ? [] : [`[${all.join(' ')}]`];
}

/** The value at a path of own properties, or `undefined`. */
function at(event: object, path: string): unknown {
  return path.split('.').reduce<unknown>((value, key) => {
    return typeof value === 'object' && value !== null && Object.hasOwn(value, key)
      ? Reflect.get(value, key)
      : undefined;
  }, event);
}

/** A text or number at a path, made safe to print; `undefined` when there is none. */
function textAt(event: object, path: string): string | undefined {
  const value = at(event, path);
  return typeof value === 'string' || typeof value === 'number' ? field(value) : undefined;
}

function numberAt(event: object, path: string): number | undefined {
  const value = at(event, path);
  return typeof value === 'number' ? value : undefined;
}

function field(value: unknown): string {
  return quoteText(
    typeof value === 'string' ? value : (JSON.stringify(value) ?? '?').slice(0, 4 * maxFieldLength),
    maxFieldLength,
  );
}

function prefixed(prefix: string, text: string | undefined): readonly string[] {
  return text === undefined ? [] : [`${prefix}${text}`];
}

function paint(text: string, color: string | undefined, options: ShorthandOptions): string {
  return options.color === true && color !== undefined ? `\x1b[${color}m${text}\x1b[0m` : text;
}
