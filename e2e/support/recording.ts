import type { DeniedPacketFact, Fact, FenceCounts } from '../../channel/index.ts';
import type { EventBudget } from '../../driver-vm/unprivileged/event-budget.ts';
import { Recorder } from '../../driver-vm/unprivileged/recorder.ts';
import type { EventBody, EventContext, JsonlWriter } from '../../ocsf/index.ts';
import { fact } from './channel-facts.ts';
import { validateEvent } from './ocsf-schema.ts';

const context: EventContext = {
  ocsfVersion: '1.8.0',
  productVersion: '0.1.0',
  logName: 'a.jsonl',
  sandboxId: 'a',
  runId: '0b0e0c1e-3c8e-4f7e-9a55-0d4b5a0d6f11',
  hostname: 'host',
  hypervisor: 'qemu',
  policy: { uid: 'p', name: 'p', version: 'sha256:1' },
};

/** What a guest can do that lacks nothing. */
export const loggedAndMarked = { logging: true, marks: true };
/** A command. */
export const exec = { argv: ['sh', '-c', 'true'], env: {}, workdir: null };

/** An event as a recorder appends it. */
export type Recorded = EventBody & { readonly count?: number };

/** A recorder over lists in place of the file, one for findings and one for all else, and a clock that stands still. */
export function recording(
  budget?: EventBudget,
  changes: Partial<EventContext> = {},
): { recorder: Recorder; events: Recorded[]; findings: Recorded[]; clock: { now: number } } {
  const events: Recorded[] = [];
  const findings: Recorded[] = [];
  const clock = { now: 1_790_000_000_000 };
  const log = {
    append: (body: Recorded) => void (Number(body.class_uid) === 2004 ? findings : events).push(body),
  } as unknown as JsonlWriter;
  const options = {
    context: { ...context, ...changes },
    log,
    accelerator: 'tcg',
    workloadUid: 1000,
    now: () => clock.now,
  } as const;
  return { recorder: new Recorder(budget === undefined ? options : { ...options, budget }), events, findings, clock };
}

let sequence = 0;

/** A refused packet that the log told of, with a number of its own. */
export function packet(changes: Partial<DeniedPacketFact> = {}): Fact {
  sequence += 1;
  return { ...fact, sequence, ...changes };
}
/** A request that the guest's proxy refused. */
export const request = (changes: object = {}): Fact => ({
  kind: 'denied-request',
  method: 'CONNECT',
  host: 'example.com',
  port: 443,
  path: null,
  client: { address: '10.200.0.2', port: 40_000 },
  code: 'HOST_NOT_ALLOWED',
  reason: 'no rule allows it',
  hint: 'add one',
  ...changes,
});
/** Counters of a fence with which those of the kinds agree. */
export const counted = (counts: Partial<FenceCounts>): FenceCounts => {
  const all: FenceCounts = {
    deniedTcp: 0,
    deniedUdp: 0,
    deniedOther: 0,
    unlogged: 0,
    direct: 0,
    logged: 0,
    overflow: 0,
    portsFull: false,
    unread: 0,
    unknown: [],
    auditLoss: null,
    ...counts,
  };
  return { ...all, logged: all.deniedTcp + all.deniedUdp + all.deniedOther - all.unlogged };
};
/** The packets that events tell of. */
export const refused = (events: readonly Recorded[]): number =>
  events
    .filter(
      ({ class_uid, activity_id, metadata }) =>
        class_uid === 4001 && activity_id === 5 && metadata.log_provider === 'nf_tables',
    )
    .reduce((sum, { count }) => sum + (count ?? 1), 0);

/** The events as they stand in the file: the log adds three keys. */
export const problems = (events: readonly Recorded[]): readonly string[] =>
  events.flatMap((event) =>
    validateEvent({ ...event, metadata: { ...event.metadata, uid: 'u', sequence: 1, logged_time: 1 } }),
  );
