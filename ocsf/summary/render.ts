import { escapeText, plural } from '../../base/index.ts';
import { safeText, shortLimits } from '../short-text.ts';
import type { Destination, EventsSummary, Sender } from './model.ts';

/** From so many destinations on that differ in their address alone, one line tells of all of them. */
const leastAlike = 4;
const maxSenders = 4;

/** A line in a summary, of one destination or of many alike ones. */
type Entry = { readonly head: Destination; readonly all: readonly Destination[] };

/** How much of a summary is shown. */
export type SummaryOptions = {
  /** Entries at the most; how many others there are is said. */
  readonly limit: number;
};

/**
 * A summary for a person: what was tried, how often, by whom, when, why it was refused, and what would allow it. What
 * differs in the address alone is told of together, and so is what was allowed. Texts of the log are escaped and cut.
 */
export function renderSummary(summary: EventsSummary, { limit }: SummaryOptions): string {
  const { complete, missing, findings, otherFindings } = summary;
  const entries = entriesOf(summary.destinations.filter(({ outcome }) => outcome !== 'allowed'));
  const lines = [
    headOf(summary),
    `complete: ${complete}`,
    ...missing.map((reason) => `  ${safeLine(reason)}`),
    ...findings.map(
      ({ severity, title, uid, activity, message, last }) =>
        `finding: ${safeLine(severity)} ${safeText(title, 255)} (${safeLine(activity)}, ${last}, ${safeText(uid, 120)}): ${safeLine(message)}`,
    ),
    ...(otherFindings === 0 ? [] : [`and ${plural(otherFindings, 'event')} of other findings`]),
    ...entries.slice(0, limit).flatMap((entry) => ['', ...linesOf(entry)]),
    ...restOf(summary, entries.length - limit),
    ...allowedOf(summary),
  ];
  return `${lines.join('\n')}\n`;
}

/**
 * The short form for the end of a run: two lines or three for each of the first entries, and none where nothing was
 * refused or failed. `more` is the command that shows the rest.
 */
export function renderBrief(summary: EventsSummary, { limit }: SummaryOptions): readonly string[] {
  const entries = entriesOf(summary.destinations.filter(({ outcome }) => outcome !== 'allowed'));
  const hidden = entries.length - limit;
  return [
    ...summary.findings.map(({ severity, title, message }) => safeLine(`finding: ${severity}: ${title}: ${message}`)),
    ...entries.slice(0, limit).flatMap(({ head, all }) => [
      `${head.outcome}: ${targetOf({ head, all })}, ${countOf(all)}${byOf(all)}`,
      `  ${[head.why, head.change]
        .filter((text) => text !== undefined)
        .map(safeLine)
        .join(' ')}`,
      ...(all.length === 1
        ? allowOf(head)
            .slice(0, 1)
            .map((line) => `  ${line}`)
        : []),
    ]),
    ...(hidden > 0 ? [`and ${plural(hidden, 'more destination')}`] : []),
  ];
}

function headOf({ packetsRefused, requests, first, last }: EventsSummary): string {
  const { refused, failed, allowed } = requests;
  const when = first === undefined || last === undefined ? '' : `; ${spanOf(first, last)}`;
  return `${plural(packetsRefused, 'packet')} refused; ${plural(refused, 'request')} refused, ${failed} failed, ${allowed} allowed${when}`;
}

/** Those that differ in their address alone, together, in the order of the first of them. */
function entriesOf(destinations: readonly Destination[]): readonly Entry[] {
  const alike = new Map<string, Destination[]>();
  for (const destination of destinations) {
    const { kind, outcome, protocol, ports } = destination;
    const key = JSON.stringify([
      kind,
      outcome,
      protocol,
      destination.case,
      ports,
      destination.change,
      namesOf(destination),
    ]);
    const list = alike.get(key);
    if (list === undefined) alike.set(key, [destination]);
    else list.push(destination);
  }
  return [...alike.values()]
    .flatMap((all) =>
      all.length >= leastAlike && all[0] !== undefined
        ? [{ head: all[0], all }]
        : all.map((head) => ({ head, all: [head] })),
    )
    .sort((a, b) => weightOf(b) - weightOf(a));
}

const namesOf = ({ senders }: Destination): readonly string[] => senders.map(nameOf).sort();

function weightOf({ head, all }: Entry): number {
  const count = all.reduce((sum, one) => sum + one.count, 0);
  // What was refused stands before what failed, however often that was.
  return head.outcome === 'refused' ? count + Number.MAX_SAFE_INTEGER / 2 : count;
}

function linesOf(entry: Entry): readonly string[] {
  const { head, all } = entry;
  return [
    `${targetOf(entry)}: ${countOf(all)} ${head.outcome}${byOf(all)}`,
    `  when    ${spanOf(...reachOf(all))}`,
    ...(head.why === undefined ? [] : [`  why     ${safeLine(head.why)}`]),
    ...(head.change === undefined ? [] : [`  change  ${safeLine(head.change)}`]),
    ...(all.length === 1
      ? allowOf(head).map((line, index) => `${index === 0 ? '  policy  ' : '          '}${line}`)
      : []),
  ];
}

function targetOf({ head, all }: Entry): string {
  const { kind, protocol, ports, portCount, portsExact } = head;
  const what =
    kind === 'request' ? 'request' : protocol === undefined ? 'packets' : safeText(protocol, shortLimits.name);
  const single = all.length === 1 && portCount === 1 ? ports[0]?.[0] : undefined;
  const hosts = hostsOf(all, single);
  return `${what} ${hosts}${single === undefined ? portsText(ports, portCount, portsExact) : ''}`;
}

function hostsOf(all: readonly Destination[], port: number | undefined): string {
  const shown = (host: string | undefined): string => {
    if (host === undefined) return '(no destination)';
    if (port === undefined) return safeText(host, shortLimits.target);
    return `${safeText(host.includes(':') ? `[${host}]` : host, shortLimits.target)}:${port}`;
  };
  if (all.length === 1) return shown(all[0]?.host);
  return `${all.length} addresses, ${all
    .slice(0, 3)
    .map(({ host }) => shown(host))
    .join(', ')}, …`;
}

function portsText(ports: Destination['ports'], count: number, exact: boolean): string {
  if (ports.length === 0) return '';
  const listed = ports.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`)).join(', ');
  const told = ports.reduce((sum, [from, to]) => sum + to - from + 1, 0);
  if (told === count && exact) return count === 1 ? ` port ${listed}` : ` ports ${listed}`;
  return ` ${exact ? '' : 'at least '}${count} ports, ${listed}, …`;
}

function countOf(all: readonly Destination[]): string {
  const count = all.reduce((sum, one) => sum + one.count, 0);
  return plural(count, all[0]?.kind === 'request' ? 'request' : 'packet');
}

/** Who sent them, with how many each sent where there are several. */
function byOf(all: readonly Destination[]): string {
  const counts = new Map<string, number>();
  for (const { senders } of all) {
    for (const sender of senders) counts.set(nameOf(sender), (counts.get(nameOf(sender)) ?? 0) + sender.count);
  }
  const others = all.reduce((sum, one) => sum + one.otherSenders, 0);
  const known = [...counts].filter(([name]) => name !== '').sort((a, b) => b[1] - a[1]);
  if (known.length === 0) return '';
  const rest = others + (counts.get('') ?? 0) + known.slice(maxSenders).reduce((sum, [, count]) => sum + count, 0);
  const several = known.length > 1 || rest > 0;
  const names = known.slice(0, maxSenders).map(([name, count]) => (several ? `${name} (${count})` : name));
  return `, by ${[...names, ...(rest > 0 ? [`others (${rest})`] : [])].join(', ')}`;
}

/** The program where it is known, else exec and user. */
function nameOf({ program, exec, uid }: Sender): string {
  if (program !== undefined) return safeText(program, shortLimits.name);
  return [
    ...(exec === undefined ? [] : [`exec=${safeText(exec, shortLimits.name)}`]),
    ...(uid === undefined ? [] : [`uid=${safeText(uid, shortLimits.name)}`]),
  ].join(' ');
}

function allowOf({ rule, allow }: Destination): readonly string[] {
  return [
    ...(allow === undefined ? [] : [`--allow ${allow.startsWith('[') ? `'${allow}'` : allow}`]),
    ...(rule === undefined ? [] : [rule]),
  ];
}

function reachOf(all: readonly Destination[]): readonly [string, string] {
  const firsts = all.map(({ first }) => first).sort();
  const lasts = all.map(({ last }) => last).sort();
  return [firsts[0] ?? '', lasts.at(-1) ?? ''];
}

/** Texts of ISO 8601 in UTC, of which the second loses the day that it has in common with the first. */
function spanOf(first: string, last: string): string {
  if (first === last) return first;
  return `${first} to ${first.slice(0, 11) === last.slice(0, 11) ? last.slice(11) : last}`;
}

function restOf({ otherDestinations }: EventsSummary, hidden: number): readonly string[] {
  return [
    ...(hidden > 0 ? ['', `and ${plural(hidden, 'more destination')}`] : []),
    ...(otherDestinations > 0
      ? ['', `and ${plural(otherDestinations, 'attempt')} at destinations beyond those that are told apart`]
      : []),
  ];
}

const maxAllowed = 20;

function allowedOf({ destinations }: EventsSummary): readonly string[] {
  const allowed = destinations.filter(({ outcome }) => outcome === 'allowed');
  if (allowed.length === 0) return [];
  return [
    '',
    'allowed:',
    ...allowed
      .slice(0, maxAllowed)
      .map((one) => `  ${targetOf({ head: one, all: [one] })}: ${countOf([one])}${byOf([one])}`),
    ...(allowed.length > maxAllowed ? [`  and ${plural(allowed.length - maxAllowed, 'more destination')}`] : []),
  ];
}

/** A sentence of the log on one line, escaped. */
function safeLine(text: string): string {
  return escapeText(text, 1000);
}
