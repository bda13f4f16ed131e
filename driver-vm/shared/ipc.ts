import {
  flag,
  integer,
  list,
  nullable,
  object,
  oneOf,
  readShape,
  type ShapeOf,
  text,
  union,
} from '../../base/index.ts';
import type { DirectDestination } from '../../nft/index.ts';
import type { EventContext, FsyncPolicy, Rotation } from '../../ocsf/index.ts';
import type { Policy } from '../../policy/index.ts';

/** What the channel process is told once. */
export type ChannelConfig = {
  readonly context: EventContext;
  /** How the guest's processor is run; `null` in a jail, where there is no guest. */
  readonly accelerator: 'kvm' | 'tcg' | null;
  /** The workload's uid in the kernel's records. */
  readonly workloadUid: number;
  /** Unix sockets that this process listens on and QEMU connects to. */
  readonly channelSocket: string;
  readonly consoleSocket: string;
  /** Descriptors of the open event log, and of the folder through which its next file comes. */
  readonly eventsFd: number;
  readonly handOverFd: number;
  /** The sequence number that comes next in the log, and that of the file's first event. */
  readonly startSequence: number;
  readonly firstSequence: number;
  readonly fsync: FsyncPolicy;
  readonly rotation: Pick<Rotation, 'maxBytes' | 'daily'>;
  readonly eventsFile: string;
  readonly policy: Policy;
  readonly direct: readonly DirectDestination[];
  /** The run's secret in the log prefix. */
  readonly tag: string;
  readonly allowUnlogged: boolean;
  /** How often the guest is to try its fence, in milliseconds. */
  readonly canaryMs: number;
  /** Whether the guest may use its kernel's audit system. */
  readonly audit: boolean;
};

/** The guest's rulesets as they go over the channel: see `configure` in channel/messages.ts. */
export type CompiledRulesets = { readonly guest: string; readonly fence: string };

/** What to run in the guest. */
export type ExecRequest = {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly workdir: string | null;
};

/** From the privileged process to the channel process. */
export type ParentMessage =
  | { readonly kind: 'start'; readonly config: ChannelConfig }
  /** The guest's rulesets, or that the host has none; a guest is told of its run once this has come. */
  | { readonly kind: 'compiled'; readonly compiled: CompiledRulesets | null }
  /** The gateway may open: its listening socket comes with this message. */
  | { readonly kind: 'gateway' }
  | ({ readonly kind: 'exec' } & ExecRequest)
  | { readonly kind: 'signal'; readonly signal: number }
  /** The boot is given up: forget its connection and console. Answered by `console`. */
  | { readonly kind: 'reset' }
  /** Ask the guest for its counts; answered by `settled`. */
  | { readonly kind: 'settle' }
  /** The log's next file is there to be opened; answered by `opened`. */
  | { readonly kind: 'next' }
  /** The next file is in its place: the log goes on there. */
  | { readonly kind: 'rotated' }
  /** The log goes on in the file that it has. */
  | { readonly kind: 'unrotated'; readonly message: string }
  /** The drop counters of the slot's table have risen, to this since the sandbox began. */
  | { readonly kind: 'drops'; readonly slot: Readonly<Record<string, number>> }
  /** Somebody changed the slot's ruleset. */
  | {
      readonly kind: 'changed';
      readonly difference: readonly string[];
      readonly differences: number;
      readonly restoredMs: number | null;
    }
  /** The VM is gone: write the last event, close the log, report and end. `slot` are the slot table's drop counters. */
  | {
      readonly kind: 'finish';
      readonly reason: string;
      readonly failed: boolean;
      readonly slot: Readonly<Record<string, number>>;
    };

const count = integer(0);

/** What the report of a run has at the most. */
export const reportLimits = { lines: 40, characters: 1200 } as const;

/**
 * What the record of a run says; `lost` is `null` where it is not known. `unwritten` counts events that are not in the log
 * because the disk did not take them, and `problem` says what was wrong with the log at the end.
 */
const summary = object({
  allowed: count,
  denied: count,
  deniedRequests: count,
  attempts: count,
  lost: nullable(count),
  /** Whether the record tells of every attempt, and why it may not: each with a code and what happened. */
  complete: flag,
  incomplete: list(text(300), 32),
  /** Events that were not valid, and went out inside another. */
  invalid: count,
  unwritten: count,
  problem: nullable(text(4096)),
  /** Findings that were opened. */
  findings: count,
  /** Packets that the host dropped although the guest's fence should have: the guest is compromised. */
  bypassed: count,
  /** What was refused and what to change, for a person: lines that are escaped, and not trusted to be. */
  report: list(text(reportLimits.characters), reportLimits.lines),
});

/**
 * From the channel process to the privileged one. The channel process parses what a guest wrote, so the privileged one
 * does not trust it with more than these shapes, and prints their text escaped.
 */
const childMessages = {
  listening: object({ kind: oneOf('listening') }),
  hello: object({ kind: oneOf('hello'), kernelRelease: text(64), bootMs: count }),
  ready: object({ kind: oneOf('ready'), logging: flag, compiled: flag, setupMs: count }),
  failed: object({ kind: oneOf('failed'), code: text(64), message: text(16_384), hint: nullable(text(4096)) }),
  started: object({ kind: oneOf('started') }),
  refused: object({ kind: oneOf('refused'), code: text(64), message: text(16_384) }),
  exited: object({ kind: oneOf('exited'), status: nullable(integer(0, 255)), signal: nullable(integer(1, 127)) }),
  settled: object({ kind: oneOf('settled') }),
  /** The answer to `reset`: the end of what the guest wrote to its console. */
  console: object({ kind: oneOf('console'), text: text(16_384) }),
  /** The channel is gone or broke its protocol, or this process failed. */
  lost: object({ kind: oneOf('lost'), code: text(64), message: text(16_384), console: text(16_384) }),
  /** The log is to be rotated, whose file begins with this event; answered by `next`, or `unrotated`. */
  rotate: object({ kind: oneOf('rotate'), firstSequence: integer(1) }),
  /** The next file is open; answered by `rotated`, or `unrotated`. */
  opened: object({ kind: oneOf('opened') }),
  /** The log begins or ceases to fail: what is wrong with it, and how many events are held and were dropped. */
  log: object({
    kind: oneOf('log'),
    problem: nullable(text(4096)),
    rotationProblem: nullable(text(4096)),
    held: count,
    dropped: count,
  }),
  finished: object({ kind: oneOf('finished'), summary }),
};

/** From the channel process to the privileged one. */
export type ChildMessage = ShapeOf<(typeof childMessages)[keyof typeof childMessages]>;
/** What the record of a run says. */
export type RunSummary = ShapeOf<typeof summary>;

const childMessage = union(childMessages);

/**
 * Parses a message of the channel process.
 *
 * @throws CHANNEL_PROTOCOL when it is not one
 */
export function parseChildMessage(value: unknown): ChildMessage {
  return readShape(childMessage, value, 'A message of the channel process', 'CHANNEL_PROTOCOL');
}
