import { checkedInteger } from './check.ts';
import { deviceOf, type EventContext, metadataOf } from './context.ts';
import type { BaseEvent, EventBody } from './event.ts';
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

/**
 * Attempts are refused and counted, but not told one by one: Base Event `fence-unlogged`, severity High.
 *
 * @throws EVENT_INVALID when `time` is out of its range
 * Source: OCSF base_event (0)
 */
export function fenceUnlogged(context: EventContext, input: FenceUnloggedInput): EventBody<BaseEvent> {
  return finish<BaseEvent>({
    ...commonOf(context, input.time, 'fence-unlogged'),
    message: 'The fence refuses packets without a log line for each',
    status_detail: `No log lines: ${input.reason}. Attempts are counted in total and not told one by one; load the missing kernel feature, or run without --allow-unlogged.`,
  });
}

/**
 * Records of the fence were lost: Base Event `telemetry-gap`, severity High, with the gap in `unmapped.loss`. It has no
 * `count`, because the counters tell how many packets the lost records stood for.
 *
 * @throws EVENT_INVALID when a number is out of its range
 * Source: OCSF base_event (0)
 */
export function telemetryGap(context: EventContext, input: TelemetryGapInput): EventBody<BaseEvent> {
  const missing = checkedInteger(input.missing, 'missing', 1);
  const first = checkedInteger(input.first, 'first');
  const last = checkedInteger(input.last, 'last', first);
  const common = commonOf(context, input.time, 'telemetry-gap');
  return finish<BaseEvent>({
    ...common,
    message: `${missing} record${missing === 1 ? '' : 's'} of the fence lost`,
    status_detail: `Records ${first} to ${last} of ${input.source} were overwritten before they were read; packets that they told of are in the aggregate counts.`,
    metadata: { ...common.metadata, labels: ['loss:possible'] },
    unmapped: { loss: { source: input.source, missing_records: missing, first, last } },
  });
}

function commonOf(context: EventContext, time: number, name: 'fence-unlogged' | 'telemetry-gap') {
  return {
    time: checkedInteger(time, 'time'),
    class_uid: 0 as const,
    activity_id: 99 as const,
    activity_name: name,
    severity_id: 4 as const,
    status_id: 2 as const,
    metadata: metadataOf(context, 'fence', name),
    device: deviceOf(context),
  };
}
