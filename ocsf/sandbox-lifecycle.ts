import { checkedInteger } from './check.ts';
import { deviceOf, type EventContext, metadataOf, policyOf, productOf } from './context.ts';
import type { ApplicationLifecycle, EventBody, JsonObject } from './event.ts';
import { finish } from './finish.ts';

/** A sandbox that is up: its guest has reported and its fence stands. */
export type SandboxStartedInput = {
  /** Epoch milliseconds by the host's clock. */
  readonly time: number;
  /** How the guest's processor is run: hardware virtualisation, or emulation; `null` in a jail, where there is no guest. */
  readonly accelerator: 'kvm' | 'tcg' | null;
  /**
   * By what the kernel tells whose a refused packet is: the mark of its exec, which was tried, or only the user.
   */
  readonly attribution?: 'exec-mark' | 'uid';
};

/** What the record of a run sums up. */
export type RunCounts = {
  /** Requests that the gateway let through. */
  readonly allowed: number;
  /** Packets that the fence refused, by its counters. */
  readonly denied: number;
  /** Distinct destinations, protocols and ports among them. */
  readonly attempts: number;
  /** Refused packets without an event of their own; `null` where nobody knows. */
  readonly lost: number | null;
  /** Events that were not valid OCSF, and are carried by an `event-invalid` each. @default 0 */
  readonly invalid?: number;
};

/** A sandbox that has ended. */
export type SandboxStoppedInput = Omit<SandboxStartedInput, 'attribution'> & {
  readonly counts: RunCounts;
  /** Why the record of the run may not tell of every attempt; empty when it does. Example: `['log-gap: …']`. */
  readonly incomplete: readonly string[];
  /** Packets that the host's own table dropped, by counter. Example: `{spoofed: 0, input: 2}`. */
  readonly slot?: Readonly<Record<string, number>>;
  /** Why, in words, for example `'the command ended'`. */
  readonly reason: string;
  /** The sandbox ended by a failure of its own, and not by request. @default false */
  readonly failed?: boolean;
};

/**
 * A sandbox started: Application Lifecycle, Start.
 *
 * @throws EVENT_INVALID when a number is out of its range
 * Source: OCSF application_lifecycle (6002)
 */
export function sandboxStarted(context: EventContext, input: SandboxStartedInput): EventBody<ApplicationLifecycle> {
  return finish<ApplicationLifecycle>({
    ...commonOf(context, input, 'sandbox-started'),
    activity_id: 3,
    severity_id: 1,
    message:
      input.accelerator === null
        ? `Sandbox ${context.sandboxId} started in a jail: no virtual machine stands between it and its host`
        : `Sandbox ${context.sandboxId} started`,
    status_id: 1,
    unmapped: {
      ...machineOf(context, input),
      ...(input.attribution === undefined ? {} : { attribution: input.attribution }),
    },
  });
}

/**
 * A sandbox stopped: Application Lifecycle, Stop, with the counts of its run. `unmapped.complete` says whether the
 * record of the run tells of every attempt.
 *
 * @throws EVENT_INVALID when a number is out of its range
 * Source: OCSF application_lifecycle (6002)
 */
export function sandboxStopped(context: EventContext, input: SandboxStoppedInput): EventBody<ApplicationLifecycle> {
  const lost = input.counts.lost === null ? null : checkedInteger(input.counts.lost, 'counts.lost');
  const complete = input.incomplete.length === 0;
  const failed = input.failed ?? false;
  const common = commonOf(context, input, 'sandbox-stopped');
  return finish<ApplicationLifecycle>({
    ...common,
    activity_id: 4,
    severity_id: complete && !failed ? 1 : 3,
    message: `Sandbox ${context.sandboxId} stopped`,
    status_id: failed ? 2 : 1,
    status_detail: input.reason,
    metadata: complete ? common.metadata : { ...common.metadata, labels: ['loss:possible'] },
    unmapped: {
      ...machineOf(context, input),
      reason: input.reason,
      counts: {
        allowed: checkedInteger(input.counts.allowed, 'counts.allowed'),
        denied: checkedInteger(input.counts.denied, 'counts.denied'),
        attempts: checkedInteger(input.counts.attempts, 'counts.attempts'),
        ...(lost === null ? {} : { lost }),
        invalid: checkedInteger(input.counts.invalid ?? 0, 'counts.invalid'),
      },
      ...(input.slot === undefined ? {} : { slot: input.slot }),
      complete,
      ...(complete ? {} : { incomplete: input.incomplete }),
    },
  });
}

function commonOf(context: EventContext, input: SandboxStartedInput, code: string) {
  return {
    time: checkedInteger(input.time, 'time'),
    class_uid: 6002 as const,
    metadata: metadataOf(context, 'driver', code),
    app: productOf(context),
    device: deviceOf(context),
    policy: policyOf(context),
  };
}

function machineOf(context: EventContext, input: SandboxStartedInput): JsonObject {
  return {
    ...(input.accelerator === null ? {} : { accelerator: input.accelerator }),
    isolation: input.accelerator === null ? 'jail' : 'vm',
    ...(context.image === undefined ? {} : { image: { name: context.image.name, uid: context.image.uid } }),
  };
}
