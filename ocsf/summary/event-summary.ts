import { at, numberAt } from '../short-text.ts';
import { type Attempt, attemptOf } from './attempt.ts';
import {
  adviceFor,
  byWeight,
  countAttempt,
  countRepeat,
  destinationOf,
  type Group,
  isoOf,
  newGroup,
  type SenderCount,
  withScans,
} from './attempt-group.ts';
import { bounded } from './bounded.ts';
import type { EventsSummary, FindingLine } from './model.ts';
import type { BitBudget } from './port-set.ts';
import { repeatOf } from './repeat.ts';
import { RunRecords } from './run-records.ts';

/** Destinations that are told apart; attempts at others are summed. */
export const maxDestinations = 10_000;
const maxFindings = 100;
const maxBits = 1000;
/** Packets whose place is kept, for others like them. */
const maxPlaces = 4096;

/** Where a packet is counted. */
type Place = { readonly group: Group; readonly sender: SenderCount | undefined };

/**
 * Sums up events of any origin, one after another, in bounded memory: what was tried, how often, by whom, when, why it
 * was refused and what would allow it; and whether the log tells of all of it. The sum over `count` is exact.
 */
export class EventSummary {
  readonly #groups = new Map<string, Group>();
  readonly #places = new Map<string, Place>();
  readonly #findings = new Map<string, FindingLine>();
  readonly #records = new RunRecords();
  readonly #bits: BitBudget = { left: maxBits };
  #packets = 0;
  readonly #requests = { refused: 0, failed: 0, allowed: 0 };
  #first = Infinity;
  #last = -Infinity;
  #otherDestinations = 0;
  #otherFindings = 0;

  /** Takes an event of the log. One that is not `wanted` counts for what it says of the record alone. */
  add(event: object, wanted = true): void {
    this.#records.add(event, wanted);
    if (!wanted) return;
    const repeat = repeatOf(event);
    const place = repeat === undefined ? undefined : this.#places.get(repeat.key);
    if (repeat !== undefined && place !== undefined) return this.#repeat(place, repeat.time);
    if (numberAt(event, 'class_uid') === 2004) return this.#finding(event);
    const attempt = attemptOf(event);
    const counted = attempt === undefined ? undefined : this.#attempt(attempt);
    if (repeat === undefined || counted === undefined) return;
    if (this.#places.size >= maxPlaces) this.#places.clear();
    this.#places.set(repeat.key, counted);
  }

  /** Says that something is missing in the log, which is therefore not complete. */
  missing(reason: string): void {
    this.#records.missing(reason);
  }

  /** What was summed up until now. */
  summary(): EventsSummary {
    const { refused, failed, allowed } = this.#requests;
    if (![this.#packets, refused, failed, allowed].every(Number.isSafeInteger)) {
      this.missing('the counts of the events are too large to be summed exactly');
    }
    return {
      ...this.#records.completeness(),
      packetsRefused: this.#packets,
      requests: { ...this.#requests },
      ...(this.#first > this.#last ? {} : { first: isoOf(this.#first), last: isoOf(this.#last) }),
      destinations: withScans([...this.#groups.values()], { left: maxBits })
        .sort(byWeight)
        .map(destinationOf),
      otherDestinations: this.#otherDestinations,
      findings: [...this.#findings.values()],
      otherFindings: this.#otherFindings,
    };
  }

  #repeat({ group, sender }: Place, time: number): void {
    this.#packets += 1;
    this.#first = Math.min(this.#first, time);
    this.#last = Math.max(this.#last, time);
    countRepeat(group, sender, time);
  }

  #attempt(attempt: Attempt): Place | undefined {
    const { kind, outcome, count, first, last } = attempt;
    if (kind === 'packet') this.#packets += count;
    else this.#requests[outcome] += count;
    this.#first = Math.min(this.#first, first);
    this.#last = Math.max(this.#last, last);
    const group = this.#groupOf(attempt);
    if (group === undefined) {
      this.#otherDestinations += count;
      return undefined;
    }
    return { group, sender: countAttempt(group, attempt) };
  }

  #groupOf(attempt: Attempt): Group | undefined {
    const { kind, outcome, protocol, host, code, detail } = attempt;
    const advice = kind === 'packet' ? adviceFor(attempt) : undefined;
    const reason = kind === 'packet' ? (advice?.kind ?? detail) : outcome === 'allowed' ? '' : code;
    const key = JSON.stringify([kind, outcome, protocol ?? -1, host ?? '', reason ?? '']);
    const found = this.#groups.get(key);
    if (found !== undefined || this.#groups.size >= maxDestinations) return found;
    const group = newGroup(attempt, advice, this.#bits);
    this.#groups.set(key, group);
    return group;
  }

  #finding(event: object): void {
    const uid = textAt(event, 'finding_info.uid', 255);
    if (!this.#findings.has(uid) && this.#findings.size >= maxFindings) {
      this.#otherFindings += 1;
      return;
    }
    const time = numberAt(event, 'time') ?? 0;
    this.#findings.set(uid, {
      uid,
      title: textAt(event, 'finding_info.title', 255),
      severity: textAt(event, 'severity', 40),
      activity: textAt(event, 'activity_name', 40),
      message: textAt(event, 'message', 400),
      last: isoOf(Math.abs(time) <= 8.64e15 ? time : 0),
    });
  }
}

function textAt(event: object, path: string, max: number): string {
  const value = at(event, path);
  return typeof value === 'string' ? bounded(value, max) : '';
}
