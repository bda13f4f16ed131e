import { type EventClassUid, eventClasses } from '../schema/classes.ts';
import type { CompiledMembers } from './compile.ts';
import { reportError, reportWarning, shown, type Walk } from './problem.ts';

/** The attributes of an event that bind one another. */
type Bound = {
  readonly activity_id?: unknown;
  readonly type_uid?: unknown;
  readonly type_name?: unknown;
  readonly count?: unknown;
  readonly time?: unknown;
  readonly start_time?: unknown;
  readonly end_time?: unknown;
  readonly duration?: unknown;
};

/** Checks that `type_uid` and `type_name` follow from class and activity. */
export function checkType(classUid: EventClassUid, compiled: CompiledMembers, event: Bound, walk: Walk): void {
  const { activity_id: activity, type_uid: type, type_name: name } = event;
  if (typeof activity !== 'number' || typeof type !== 'number') return;
  const wanted = classUid * 100 + activity;
  if (type !== wanted) {
    reportError(
      walk,
      'type_uid',
      'type_uid',
      type,
      `must be class_uid times 100 plus activity_id, ${wanted}: got ${type}`,
    );
    return;
  }
  const caption = compiled.attributes.get('activity_id')?.facts.values?.get(activity);
  // What another activity is called is for the source to say.
  if (caption === undefined || activity === 99 || typeof name !== 'string') return;
  const full = `${eventClasses[classUid].caption}: ${caption}`;
  if (name === full) return;
  if (name.trim().toLowerCase() === full.toLowerCase()) {
    reportWarning(walk, 'caption', 'type_name', name, `is spelt otherwise than ${shown(full)}`);
  } else
    reportError(walk, 'caption', 'type_name', name, `contradicts type_uid ${type}, ${shown(full)}: got ${shown(name)}`);
}

/**
 * Checks the attributes of an aggregate. An event of which `count` is more than 1 must say from when to when, and its
 * time is the start; times and duration must agree in any event. A single event had better carry its time alone.
 */
export function checkAggregate(event: Bound, walk: Walk): void {
  const [count, start, end] = [numberOf(event.count), numberOf(event.start_time), numberOf(event.end_time)];
  const duration = numberOf(event.duration);
  if (count === undefined && start === undefined && end === undefined && duration === undefined) return;
  if (count !== undefined && count < 1) {
    reportError(walk, 'aggregate', 'count', count, `must be 1 or more: got ${count}`);
  }
  if (start !== undefined && end !== undefined && end < start) {
    reportError(walk, 'aggregate', 'end_time', end, `must not be before start_time ${start}: got ${end}`);
  }
  if (duration !== undefined && duration < 0) {
    reportError(walk, 'aggregate', 'duration', duration, `must not be negative: got ${duration}`);
  } else if (start !== undefined && end !== undefined && duration !== undefined && end >= start) {
    const wanted = end - start;
    if (duration !== wanted) {
      reportError(
        walk,
        'aggregate',
        'duration',
        duration,
        `must be end_time less start_time, ${wanted}: got ${duration}`,
      );
    }
  }
  if (count !== undefined && count > 1) checkSpan(event, count, walk);
  else adviseSingle(event, walk);
}

function checkSpan(event: Bound, count: number, walk: Walk): void {
  for (const key of ['start_time', 'end_time'] as const) {
    if (event[key] === undefined)
      reportError(walk, 'aggregate', key, undefined, `is required of an event of count ${count}`);
  }
  const [time, start] = [numberOf(event.time), numberOf(event.start_time)];
  if (time !== undefined && start !== undefined && time !== start) {
    reportError(
      walk,
      'aggregate',
      'time',
      time,
      `must be start_time ${start} in an event of count ${count}: got ${time}`,
    );
  }
}

function adviseSingle(event: Bound, walk: Walk): void {
  for (const key of ['count', 'start_time', 'end_time', 'duration'] as const) {
    const value = event[key];
    if (value !== undefined) reportWarning(walk, 'aggregate', key, value, 'is for events of a count above 1');
  }
}

function numberOf(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined;
}
