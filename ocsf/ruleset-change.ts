import { checkedInteger } from './check.ts';
import { deviceOf, type EventContext, metadataOf } from './context.ts';
import type { DeviceConfigStateChange, EventBody } from './event.ts';
import { finish } from './finish.ts';
import { present } from './present.ts';

/** A ruleset that is not the one that was loaded. */
export type RulesetChangeInput = {
  /** Epoch milliseconds by the host's clock. */
  readonly time: number;
  /**
   * `slot`, the host's tables; `fence` and `guest`, those in the guest; `log-switch`, the setting of its kernel without which
   * the fence refuses unseen.
   */
  readonly where: 'slot' | 'fence' | 'guest' | 'log-switch';
  /** What is missing (`-`) and what was added (`+`), a line each, the first of them. */
  readonly difference: readonly string[];
  /** How many such lines there are. */
  readonly differences: number;
  /** Milliseconds from when it was noticed until the kernel had it again; `null` where it does not stand. */
  readonly restoredMs: number | null;
};

const names = {
  slot: "The ruleset of the host's table",
  fence: "The ruleset of the guest's fence",
  guest: "The ruleset of the guest's own table",
  'log-switch': "The switch of the guest's log",
} as const;

/**
 * Somebody changed a ruleset that fences the sandbox: Device Config State Change, with the difference. Severity High, or
 * Critical where it could not be put right.
 *
 * @throws EVENT_INVALID when a number is out of its range
 * Source: OCSF device_config_state_change (5019)
 */
export function rulesetChanged(context: EventContext, input: RulesetChangeInput): EventBody<DeviceConfigStateChange> {
  const { where, difference, restoredMs } = input;
  const differences = checkedInteger(input.differences, 'differences');
  const restored = restoredMs !== null;
  return finish<DeviceConfigStateChange>({
    time: checkedInteger(input.time, 'time'),
    class_uid: 5019,
    activity_id: 1,
    severity_id: restored ? 4 : 5,
    message: `${names[where]} was changed, and ${restored ? 'put right' : 'could not be put right'}`,
    status_id: restored ? 1 : 2,
    status_detail: difference.length === 0 ? 'What was changed is not known.' : difference.join('; '),
    metadata: metadataOf(context, where === 'slot' ? 'driver' : 'supervisor', 'ruleset-changed'),
    device: deviceOf(context),
    state_id: restored ? 2 : 1,
    security_level_id: restored ? 2 : 3,
    prev_security_level_id: 1,
    unmapped: {
      ruleset: present({
        where,
        differences,
        difference,
        restored_ms: restoredMs === null ? undefined : checkedInteger(restoredMs, 'restoredMs'),
      }),
    },
  });
}
