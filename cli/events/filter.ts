import { captions, classNames, type EventPath, parseEventPath, someValue } from '../../ocsf/index.ts';
import { usage } from '../options.ts';
import { parseTime } from './time.ts';

/** The options of `tapwarden events` that choose events, as they stand on the command line. */
export type FilterOptions = {
  readonly since?: string | undefined;
  readonly until?: string | undefined;
  readonly class?: readonly string[] | undefined;
  readonly severity?: string | undefined;
  readonly sandbox?: string | undefined;
  readonly where?: readonly string[] | undefined;
};

/** Whether an event is among those that were asked for. */
export type EventFilter = (event: object) => boolean;

type Operator = '=' | '!=' | '~';

/**
 * Makes one filter of all options. All of them must hold; of the classes one. `now` is epoch milliseconds.
 *
 * @throws USAGE_INVALID for an option that says nothing or the impossible, by name
 */
export function eventFilter(options: FilterOptions, now: number): EventFilter {
  const since = timeOf('--since', options.since, now);
  const until = timeOf('--until', options.until, now);
  if (since !== undefined && until !== undefined && since >= until) {
    throw wrong(`--since ${options.since} is not before --until ${options.until}, so no event could be between them`);
  }
  const uids = options.class?.map(classUidOf);
  const severity = options.severity === undefined ? undefined : severityOf(options.severity);
  const filters: readonly (EventFilter | undefined)[] = [
    uids === undefined ? undefined : (event) => uids.includes(read(event, 'class_uid') as number),
    severity === undefined ? undefined : (event) => isAtLeast(read(event, 'severity_id'), severity),
    since === undefined && until === undefined
      ? undefined
      : (event) => isBetween(read(event, 'time'), since ?? -Infinity, until ?? Infinity),
    options.sandbox === undefined ? undefined : (event) => read(read(event, 'device'), 'uid') === options.sandbox,
    ...(options.where ?? []).map(conditionOf),
  ];
  const present = filters.filter((filter) => filter !== undefined);
  return (event) => present.every((filter) => filter(event));
}

/**
 * Reads a path of the option `option`.
 *
 * @throws USAGE_INVALID when it is none
 */
export function readPath(option: string, text: string): EventPath {
  const path = parseEventPath(text);
  if (path !== undefined) return path;
  throw wrong(`${option} takes a path such as dst_endpoint.port or attacks[].technique.uid, not '${text}'`);
}

function timeOf(option: string, text: string | undefined, now: number): number | undefined {
  if (text === undefined) return undefined;
  const time = parseTime(text, now);
  if (time !== undefined) return time;
  throw wrong(`${option} takes a time such as 2026-11-23T11:40Z, 1790000000 or 10m (ago), not '${text}'`);
}

function classUidOf(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  const wanted = plain(text);
  const known = [...classNames.values()];
  const found = known.find(({ name, caption, short }) => [name, caption, short].some((one) => plain(one) === wanted));
  if (found !== undefined) return found.uid;
  const names = known.map(({ uid, short }) => `${short} (${uid})`);
  throw wrong(`--class takes a class_uid or one of ${names.join(', ')}, not '${text}'`);
}

/** `Network Activity`, `network_activity` and `network-activity` are the same name. */
function plain(name: string): string {
  return name.toLowerCase().replace(/[\s_-]+/g, '_');
}

function severityOf(text: string): number {
  const levels = [...captions.severity].filter(([id]) => id >= 1 && id <= 6);
  const level = levels.find(([id, caption]) => String(id) === text || caption.toLowerCase() === text.toLowerCase());
  if (level !== undefined) return level[0];
  const names = levels.map(([id, caption]) => `${caption.toLowerCase()} (${id})`);
  throw wrong(`--severity takes one of ${names.join(', ')}, not '${text}'`);
}

/** Of an unknown severity (0) and of another one (99) nobody knows whether it is that high. */
function isAtLeast(severity: unknown, least: number): boolean {
  return typeof severity === 'number' && severity >= least && severity <= 6;
}

function isBetween(time: unknown, since: number, until: number): boolean {
  return typeof time === 'number' && time >= since && time < until;
}

/** One `--where`. The first operator in the text counts, so a value may hold any character. */
function conditionOf(text: string): EventFilter {
  const [, place, operator, value] = /^(.*?)(!=|=|~)(.*)$/s.exec(text) ?? [];
  if (place === undefined || operator === undefined || value === undefined) {
    throw wrong(`--where takes PATH=VALUE, PATH!=VALUE or PATH~TEXT, not '${text}'`);
  }
  const path = readPath('--where', place);
  const holds = comparison(operator as Operator, value);
  return operator === '!=' ? (event) => !someValue(event, path, holds) : (event) => someValue(event, path, holds);
}

/** What a value must be; for `!=` what it must not be. Objects are never equal to a text. */
function comparison(operator: Operator, text: string): (value: unknown) => boolean {
  if (operator === '~') {
    const part = text.toLowerCase();
    return (value) => (typeof value !== 'object' || value === null) && String(value).toLowerCase().includes(part);
  }
  const number = /^-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?$/.test(text) ? Number(text) : undefined;
  return (value) => {
    if (typeof value === 'string') return value === text;
    if (typeof value === 'number') return value === number;
    return (typeof value === 'boolean' || value === null) && String(value) === text;
  };
}

function read(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, key) ? Reflect.get(value, key) : undefined;
}

function wrong(problem: string) {
  return usage(problem, 'events');
}
