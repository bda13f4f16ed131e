import { type Advice, adviceOf, programAdvice, scanAdvice } from '../advice.ts';
import { protocolName } from '../destination.ts';
import type { Attempt } from './attempt.ts';
import type { Destination, Sender } from './model.ts';
import { type BitBudget, PortSet } from './port-set.ts';
import { suggestionFor } from './suggested.ts';

const maxPrograms = 8;
const maxRanges = 8;
/** Ports of one address from which on its cases are one. */
const leastScanned = 32;

/** A sender of a group, while its attempts are counted. */
export type SenderCount = { readonly of: Omit<Sender, 'count'>; count: number };

/** Attempts at one destination for one reason, while they are counted. */
export type Group = {
  readonly sample: Attempt;
  readonly advice: Advice | undefined;
  readonly ports: PortSet;
  readonly senders: Map<string, SenderCount>;
  otherSenders: number;
  count: number;
  events: number;
  first: number;
  last: number;
};

/** Begins a group with an attempt that is not counted yet. */
export function newGroup(sample: Attempt, advice: Advice | undefined, budget: BitBudget): Group {
  return {
    sample,
    advice,
    ports: new PortSet(budget),
    senders: new Map(),
    ...{ otherSenders: 0, count: 0, events: 0, first: sample.first, last: sample.last },
  };
}

/** Counts an attempt of a group, and returns where its sender is counted; `undefined` among those that are not told apart. */
export function countAttempt(group: Group, attempt: Attempt): SenderCount | undefined {
  const { count, first, last, port } = attempt;
  group.count += count;
  group.events += 1;
  group.first = Math.min(group.first, first);
  group.last = Math.max(group.last, last);
  if (port !== undefined) group.ports.add(port);
  return countSender(group, senderOf(attempt), count);
}

/** Counts one packet more that is like one before: of the same sender, and to a port that is among the group's. */
export function countRepeat(group: Group, sender: SenderCount | undefined, time: number): void {
  group.count += 1;
  group.events += 1;
  group.first = Math.min(group.first, time);
  group.last = Math.max(group.last, time);
  if (sender === undefined) group.otherSenders += 1;
  else sender.count += 1;
}

/** What the fence has to say of a packet; `undefined` where it was counted without its destination. */
export function adviceFor({ ip, protocol, port }: Attempt): Advice | undefined {
  if (ip === undefined || protocol === undefined) return undefined;
  return adviceOf({ protocol, ip, ...(port === undefined ? {} : { port }) });
}

function senderOf({ program, exec, uid }: Attempt): Omit<Sender, 'count'> {
  return {
    ...(program === undefined ? {} : { program }),
    ...(exec === undefined ? {} : { exec }),
    ...(uid === undefined ? {} : { uid }),
  };
}

function countSender(group: Group, of: Omit<Sender, 'count'>, count: number): SenderCount | undefined {
  const key = JSON.stringify(of);
  let found = group.senders.get(key);
  if (found !== undefined) found.count += count;
  else if (group.senders.size < maxPrograms) {
    found = { of, count };
    group.senders.set(key, found);
  } else group.otherSenders += count;
  return found;
}

/** Puts the cases of an address together of which many ports were tried, so that a scan is one line. */
export function withScans(groups: readonly Group[], budget: BitBudget): Group[] {
  const rest: Group[] = [];
  const targets = new Map<string, [Group, ...Group[]]>();
  for (const group of groups) {
    const { host, protocol } = group.sample;
    // Of a metadata service each attempt is worth a line of its own.
    if (group.advice === undefined || group.advice.kind === 'metadata') {
      rest.push(group);
      continue;
    }
    const key = `${protocol} ${host}`;
    const list = targets.get(key);
    if (list === undefined) targets.set(key, [group]);
    else list.push(group);
  }
  for (const list of targets.values()) {
    const ports = list.reduce((sum, group) => sum + group.ports.size, 0);
    rest.push(...(ports < leastScanned ? list : [joined(list, budget)]));
  }
  return rest;
}

function joined(list: readonly [Group, ...Group[]], budget: BitBudget): Group {
  const [first] = list;
  const scan: Group = { ...first, advice: scanAdvice, ports: new PortSet(budget), senders: new Map() };
  Object.assign(scan, { otherSenders: 0, count: 0, events: 0 });
  for (const group of list) {
    scan.ports.addAll(group.ports);
    scan.otherSenders += group.otherSenders;
    scan.count += group.count;
    scan.events += group.events;
    scan.first = Math.min(scan.first, group.first);
    scan.last = Math.max(scan.last, group.last);
    for (const { of, count } of group.senders.values()) countSender(scan, of, count);
  }
  return scan;
}

const outcomes: readonly Attempt['outcome'][] = ['refused', 'failed', 'allowed'];

/** The order of a summary: refused, failed, allowed; the most frequent first. */
export function byWeight(a: Group, b: Group): number {
  const order = outcomes.indexOf(a.sample.outcome) - outcomes.indexOf(b.sample.outcome);
  return order === 0 ? b.count - a.count || a.first - b.first : order;
}

/** What a group comes to. */
export function destinationOf({ sample, advice, ports, senders, ...group }: Group): Destination {
  const { kind, outcome, protocol, host, code, detail } = sample;
  const ranges = ports.ranges(maxRanges);
  const counted = [...senders.values()].sort((a, b) => b.count - a.count);
  const isPart = ports.size > ranges.reduce((sum, [from, to]) => sum + to - from + 1, 0) || !ports.exact;
  return {
    kind,
    outcome,
    ...(protocol === undefined || kind === 'request' ? {} : { protocol: nameOf(protocol) }),
    ...(host === undefined ? {} : { host }),
    ports: ranges,
    portCount: ports.size,
    portsExact: ports.exact,
    count: group.count,
    events: group.events,
    first: isoOf(group.first),
    last: isoOf(group.last),
    senders: counted.map(({ of, count }) => ({ ...of, count })),
    otherSenders: group.otherSenders,
    case: advice?.kind ?? code ?? 'unknown',
    ...(outcome === 'allowed' ? {} : { why: advice?.why ?? detail ?? 'The event does not say.' }),
    ...(advice === undefined ? {} : { change: changeOf(advice, counted) }),
    ...(isPart ? {} : suggestionFor(sample, advice?.kind, ranges)),
  };
}

/** What to change, with what is known of the programs that sent it. */
function changeOf({ kind, change }: Advice, senders: readonly { readonly of: Omit<Sender, 'count'> }[]): string {
  if (kind !== 'web' && kind !== 'tcp') return change;
  const notes = senders.flatMap(({ of }) => (of.program === undefined ? [] : [programAdvice(of.program)]));
  return [change, ...new Set(notes.filter((note) => note !== undefined))].join(' ');
}

function nameOf(protocol: number): string {
  const name = protocolName(protocol);
  return name === String(protocol) ? `protocol-${name}` : name;
}

/** ISO 8601 in UTC. */
export function isoOf(time: number): string {
  return new Date(time).toISOString();
}
