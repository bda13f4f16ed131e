import { sequenceOf } from '../log/event-line.ts';
import { at, numberAt } from '../short-text.ts';
import { bounded } from './bounded.ts';

/** Whether a log tells of all that was refused: `unknown` where it has no word on it. */
export type Completeness = {
  readonly complete: 'yes' | 'no' | 'unknown';
  /** What is missing, or why nobody knows; a sentence each, with words of the log in them. */
  readonly missing: readonly string[];
};

/** Runs that are told apart; what is beyond is unknown. */
const maxRuns = 10_000;
/** Reasons that are told one by one. */
const maxReasons = 20;
/** Of one run, so that many runs do not need much memory. */
const maxRunReasons = 8;
const maxReason = 250;

type Run = {
  readonly name: string;
  started: boolean;
  /** A command or an attempt of it was seen. */
  active: boolean;
  /** An event of it is among those that were asked for. */
  wanted: boolean;
  verdict: 'yes' | 'no' | undefined;
  readonly reasons: string[];
  /** Records of the kernel log that an event says are lost; the last event of the run says what came of it. */
  lostRecords: number;
};

/** Keeps, of each run in a log, what its events say of the record itself; and of the log, whether lines are missing. */
export class RunRecords {
  readonly #runs = new Map<string, Run>();
  readonly #ofLog: string[] = [];
  #hidden = 0;
  #beyond = false;
  #sequence: number | undefined;
  #anyWanted = false;

  /** Takes an event, in the order of the log. `wanted`: it is among those that are summed up. */
  add(event: object, wanted: boolean): void {
    this.#follow(sequenceOf(event));
    const run = this.#runOf(event);
    if (run === undefined) return;
    if (wanted) {
      run.wanted = true;
      this.#anyWanted = true;
    }
    const uid = numberAt(event, 'class_uid');
    if (uid === 6002) lifecycle(run, event);
    else if (uid === 1008) loss(run, event);
    else if (uid === 1007 || uid === 4001) run.active = true;
  }

  /** Something that is missing in the log itself. */
  missing(reason: string): void {
    if (this.#ofLog.length < maxReasons) this.#ofLog.push(reason);
    else this.#hidden += 1;
  }

  /** What is known of the runs that were asked for; of all where no event was. */
  completeness(): Completeness {
    const runs = [...this.#runs.values()].filter(({ wanted }) => wanted || !this.#anyWanted);
    const missing = [...this.#ofLog, ...runs.flatMap(reasonsOf)];
    const unknown = runs
      .filter(({ verdict }) => verdict === undefined)
      .map(({ name }) => `run ${name} has no stop event`);
    const known = missing.length > 0 || this.#hidden > 0 ? 'no' : undefined;
    if (runs.length === 0) unknown.push('there is no event of a run');
    if (this.#beyond) unknown.push(`there are more than ${maxRuns} runs`);
    const all = [...missing, ...unknown];
    const more = all.length - maxReasons + this.#hidden;
    return {
      complete: known ?? (unknown.length > 0 ? 'unknown' : 'yes'),
      missing: more <= 0 ? all : [...all.slice(0, maxReasons), `and ${more} more`],
    };
  }

  /** Sequence numbers of a log are contiguous, so one that is missing is a line that is. */
  #follow(sequence: number | undefined): void {
    if (sequence === undefined) return;
    const expected = (this.#sequence ?? sequence - 1) + 1;
    if (sequence > expected) this.missing(`events ${expected} to ${sequence - 1} are not in the log`);
    if (sequence < expected) this.missing(`event ${sequence} stands behind event ${expected - 1}`);
    this.#sequence = sequence;
  }

  #runOf(event: object): Run | undefined {
    const uid = at(event, 'metadata.correlation_uid');
    if (typeof uid !== 'string') return undefined;
    const key = bounded(uid, 80);
    const found = this.#runs.get(key);
    if (found !== undefined) return found;
    if (this.#runs.size >= maxRuns) {
      this.#beyond = true;
      return undefined;
    }
    const device = at(event, 'device.uid');
    const name = typeof device === 'string' ? `${bounded(device, 40)} (${key})` : key;
    const run: Run = {
      name,
      started: false,
      active: false,
      wanted: false,
      verdict: undefined,
      reasons: [],
      lostRecords: 0,
    };
    this.#runs.set(key, run);
    return run;
  }
}

function reasonsOf({ name, active, started, reasons, verdict, lostRecords }: Run): readonly string[] {
  return [
    ...(active && !started ? ['its beginning is not in the log'] : []),
    ...reasons,
    ...(verdict === undefined && lostRecords > 0 ? [`${lostRecords} records of the kernel log were lost`] : []),
  ].map((reason) => `run ${name}: ${reason}`);
}

function lifecycle(run: Run, event: object): void {
  const activity = numberAt(event, 'activity_id');
  if (activity === 3) run.started = true;
  if (activity !== 4) return;
  const complete = at(event, 'unmapped.complete');
  if (typeof complete !== 'boolean') return;
  run.verdict = complete ? 'yes' : 'no';
  if (complete) return;
  const told = at(event, 'unmapped.incomplete');
  const reasons = Array.isArray(told) ? told.filter((reason) => typeof reason === 'string') : [];
  for (const reason of reasons.length > 0 ? reasons : [lostOf(event)]) note(run, reason);
}

function lostOf(event: object): string {
  const lost = numberAt(event, 'unmapped.counts.lost');
  return lost === undefined
    ? 'it is not known how many packets have no event'
    : `${lost} packets have no event of their own`;
}

function loss(run: Run, event: object): void {
  const [records, events] = ['missing_records', 'missing_events'].map((key) => numberAt(event, `unmapped.loss.${key}`));
  run.lostRecords += records ?? 0;
  if (events !== undefined) note(run, `${events} events were dropped`);
}

function note(run: Run, reason: string): void {
  if (run.reasons.length < maxRunReasons) run.reasons.push(bounded(reason, maxReason));
}
