import { checkedInteger } from './check.ts';
import { deviceOf, type EventContext, metadataOf } from './context.ts';
import type { BaseEvent, EventBody, EventLogActivity } from './event.ts';
import { finish } from './finish.ts';

/** The fence stands, but its refusals leave no log line. */
export type FenceUnloggedInput = {
  /** Epoch milliseconds by the host's clock. */
  readonly time: number;
  /** What is missing, without a full stop, for example `'the kernel has no nf_log_all_netns'`. */
  readonly reason: string;
};

/** Records that were written and never read. */
export type TelemetryGapInput = {
  /** Epoch milliseconds by the host's clock, when the gap was noticed. */
  readonly time: number;
  /** Records, at least 1. */
  readonly missing: number;
  /** Sequence numbers of the first and the last record that is missing. */
  readonly first: number;
  readonly last: number;
  /** Where they were lost, for example `'/dev/kmsg'`. */
  readonly source: string;
};

/** A reader of a log that ended, and went on. */
export type LogReaderRestartedInput = {
  /** Epoch milliseconds by the host's clock, when it was noticed. */
  readonly time: number;
  /** Sequence numbers of the last record before, and of the first after. What lies between is missing. */
  readonly last: number;
  readonly next: number;
  /** Milliseconds without a reader. */
  readonly downMs: number;
  /** The log, for example `'/dev/kmsg'`. */
  readonly source: string;
};

/** Events that were made and are not in the log. */
export type EventsDroppedInput = {
  /** Epoch milliseconds by the host's clock, when the log was written again. */
  readonly time: number;
  /** Events, at least 1. */
  readonly dropped: number;
};

/**
 * Attempts are refused and counted, but not told one by one: Base Event `fence-unlogged`, severity High.
 *
 * @throws EVENT_INVALID when `time` is out of its range
 * Source: OCSF base_event (0)
 */
export function fenceUnlogged(context: EventContext, input: FenceUnloggedInput): EventBody<BaseEvent> {
  return finish<BaseEvent>({
    ...commonOf(context, input.time, 'fence-unlogged'),
    class_uid: 0,
    message: 'The fence refuses packets without a log line for each',
    metadata: metadataOf(context, 'fence', 'fence-unlogged'),
    status_detail: `No log lines: ${input.reason}. Attempts are counted in total and not told one by one; load the missing kernel feature, or run without --allow-unlogged.`,
  });
}

/**
 * Records of the fence were lost: Event Log Activity `telemetry-gap`, severity High, with the gap in `unmapped.loss`. It
 * has no `count`, because the counters tell how many packets the lost records stood for.
 *
 * The schema has an activity for a log that was cleared or stopped, and none for one that went on and lost records.
 *
 * @throws EVENT_INVALID when a number is out of its range
 * Source: OCSF event_log_actvity (1008)
 */
export function telemetryGap(context: EventContext, input: TelemetryGapInput): EventBody<EventLogActivity> {
  const missing = checkedInteger(input.missing, 'missing', 1);
  const first = checkedInteger(input.first, 'first');
  const last = checkedInteger(input.last, 'last', first);
  return finish<EventLogActivity>({
    ...commonOf(context, input.time, 'telemetry-gap'),
    class_uid: 1008,
    message: `${missing} record${missing === 1 ? '' : 's'} of the fence lost`,
    status_detail: `Records ${first} to ${last} of ${input.source} were overwritten before they were read; packets that they told of are in the aggregate counts.`,
    log_name: input.source,
    log_provider: 'kernel',
    metadata: metadataOf(context, 'fence', 'telemetry-gap', { labels: ['loss:possible'] }),
    unmapped: { loss: { source: input.source, missing_records: missing, first, last } },
  });
}

/**
 * The reader of a log ended and another one went on: Event Log Activity, Restart, severity Medium, with the span
 * in `unmapped.restart`. Records that are missing in it have a `telemetry-gap` of their own.
 *
 * @throws EVENT_INVALID when a number is out of its range
 * Source: OCSF event_log_actvity (1008)
 */
export function logReaderRestarted(context: EventContext, input: LogReaderRestartedInput): EventBody<EventLogActivity> {
  const last = checkedInteger(input.last, 'last');
  const next = checkedInteger(input.next, 'next', last + 1);
  const missing = next - last - 1;
  const downMs = checkedInteger(input.downMs, 'downMs');
  const lost = missing === 0 ? 'no record was lost' : `${missing} record${missing === 1 ? '' : 's'} lost`;
  return finish<EventLogActivity>({
    time: checkedInteger(input.time, 'time'),
    class_uid: 1008,
    activity_id: 8,
    severity_id: 3,
    status_id: 1,
    message: `The reader of ${input.source} was restarted; ${lost}`,
    status_detail: `It ended after record ${last}, and another one went on at record ${next}, ${downMs} ms later.`,
    log_name: input.source,
    log_provider: 'kernel',
    device: deviceOf(context),
    metadata: metadataOf(context, 'fence', 'log-reader-restarted'),
    unmapped: { restart: { last, next, down_ms: downMs, missing_records: missing } },
  });
}

/**
 * The disk took no events, and more came than could be held: Event Log Activity `events-dropped`, severity High, with
 * their number in `unmapped.loss`. They used up no sequence number.
 *
 * @throws EVENT_INVALID when a number is out of its range
 * Source: OCSF event_log_actvity (1008)
 */
export function eventsDropped(context: EventContext, input: EventsDroppedInput): EventBody<EventLogActivity> {
  const dropped = checkedInteger(input.dropped, 'dropped', 1);
  return finish<EventLogActivity>({
    ...commonOf(context, input.time, 'events-dropped'),
    class_uid: 1008,
    message: `${dropped} event${dropped === 1 ? '' : 's'} dropped`,
    status_detail: `The log could not be written, and more events came than are held; make room on its disk. Packets that they told of are in the counts of the run.`,
    log_name: context.logName,
    log_provider: 'tapwarden',
    metadata: metadataOf(context, 'driver', 'events-dropped', { labels: ['loss:possible'] }),
    unmapped: { loss: { source: context.logName, missing_events: dropped } },
  });
}

function commonOf(context: EventContext, time: number, name: 'fence-unlogged' | 'telemetry-gap' | 'events-dropped') {
  return {
    time: checkedInteger(time, 'time'),
    activity_id: 99 as const,
    activity_name: name,
    severity_id: 4 as const,
    status_id: 2 as const,
    device: deviceOf(context),
  };
}
