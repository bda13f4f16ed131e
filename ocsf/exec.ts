import { basename } from 'node:path';
import { checkedInteger } from './check.ts';
import { commandLine } from './command-line.ts';
import { deviceOf, type EventContext, metadataOf } from './context.ts';
import type { EventBody, ProcessActivity } from './event.ts';
import { finish } from './finish.ts';
import { present } from './present.ts';
import type { ObjectOf } from './schema/types.ts';

/** A command that was run in the sandbox at a caller's request. */
export type ExecInput = {
  /** Epoch milliseconds by the host's clock: of the launch, or of the end. */
  readonly time: number;
  readonly execId: string;
  readonly argv: readonly string[];
  readonly workdir: string;
  readonly user: { readonly uid: number; readonly name?: string };
  /** In the guest's own pid namespace. */
  readonly pid?: number;
};

/** How a command ended. */
export type ExecEnd =
  | { readonly kind: 'exited'; readonly exitCode: number }
  /** Example: `{kind: 'signaled', signal: 'SIGKILL'}`. */
  | { readonly kind: 'signaled'; readonly signal: string };

/**
 * A command started in the sandbox: Process Activity, Launch.
 *
 * @throws EVENT_INVALID when a number is out of its range
 * Source: OCSF process_activity (1007)
 */
export function execLaunched(context: EventContext, input: ExecInput): EventBody<ProcessActivity> {
  const time = checkedInteger(input.time, 'time');
  const process = processOf(context, input);
  return finish<ProcessActivity>({
    time,
    class_uid: 1007,
    activity_id: 1,
    severity_id: 1,
    message: `Command ${process.name} launched`,
    status_id: 1,
    launch_type_id: 1,
    metadata: metadataOf(context, 'supervisor', 'exec-launched'),
    device: deviceOf(context),
    actor: { app_name: 'tapwarden' },
    process: { ...process, created_time: time },
    unmapped: { exec: { id: input.execId } },
  });
}

/**
 * A command of the sandbox ended: Process Activity, Terminate. Its status is Failure unless the command exited with 0.
 *
 * @throws EVENT_INVALID when a number is out of its range
 * Source: OCSF process_activity (1007)
 */
export function execExited(
  context: EventContext,
  input: ExecInput & { readonly end: ExecEnd },
): EventBody<ProcessActivity> {
  const time = checkedInteger(input.time, 'time');
  const process = processOf(context, input);
  const { end } = input;
  const how = end.kind === 'exited' ? `exited with status ${end.exitCode}` : `was ended by ${end.signal}`;
  return finish<ProcessActivity>(
    present({
      time,
      class_uid: 1007 as const,
      activity_id: 2 as const,
      severity_id: 1 as const,
      message: `Command ${process.name} ${how}`,
      status_id: end.kind === 'exited' && end.exitCode === 0 ? (1 as const) : (2 as const),
      status_code: end.kind === 'exited' ? `exit:${end.exitCode}` : `signal:${end.signal}`,
      exit_code: end.kind === 'exited' ? checkedInteger(end.exitCode, 'end.exitCode', 0, 255) : undefined,
      metadata: metadataOf(context, 'supervisor', 'exec-exited'),
      device: deviceOf(context),
      actor: { app_name: 'tapwarden' },
      process: { ...process, terminated_time: time },
      unmapped: { exec: { id: input.execId } },
    }),
  );
}

function processOf(context: EventContext, input: ExecInput): ObjectOf<'process'> & ProcessActivity['process'] {
  return present({
    uid: `${context.sandboxId}/${input.execId}`,
    pid: input.pid === undefined ? undefined : checkedInteger(input.pid, 'pid', 1, 0x7fffffff),
    name: basename(input.argv[0] ?? '').slice(0, 255),
    cmd_line: commandLine(input.argv),
    working_directory: input.workdir,
    user: present({ uid: String(checkedInteger(input.user.uid, 'user.uid', 0, 0xffffffff)), name: input.user.name }),
    sandbox: context.sandboxId,
  });
}
