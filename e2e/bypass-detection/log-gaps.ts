import type { ExecutionContext } from 'ava';
import type { logGaps } from '../support/evidence/gaps.ts';
import { processesOfJail } from '../support/jail-processes.ts';
import { logPackets } from '../support/kernel-log.ts';
import { refusals, withCode } from '../support/record.ts';
import { startBesideRoot } from '../support/root-attack.ts';
import type { Bench, Boundary, RunOutcome } from '../support/sandbox-bench.ts';
import { makeScratchNamespace } from '../support/scratch-namespace.ts';
import { startAttempts } from './attempts.ts';

/** How a gap is made, where, and what of it must be in the record. */
type Gap = {
  readonly boundaries: readonly Boundary[];
  readonly makes: (t: ExecutionContext, bench: Bench) => Promise<RunOutcome>;
  readonly isTold: (t: ExecutionContext, outcome: RunOutcome) => void;
};

const gapRuns: Readonly<Record<keyof typeof logGaps, Gap>> = {
  overwritten: {
    // A guest’s log holds 4 MiB, which its emulated processor would need minutes to fill.
    boundaries: ['jail'],
    makes: overwritesRecords,
    isTold: (t, { events, result }) => {
      const [gap] = withCode(events, 'telemetry-gap');
      const { missing_records: missing = 0, first = 0, last = 0 } = gap?.unmapped?.loss ?? {};
      t.is(gap?.class_uid, 1008);
      t.true(missing > 0);
      t.is(missing, last - first + 1);
      const told = refusals(events).reduce((sum, { count = 1 }) => sum + count, 0);
      t.is(result?.denied, told);
      t.true(withCode(events, 'egress-denied-aggregate').length > 0, 'packets without a line are told of in groups');
    },
  },
  ended: {
    boundaries: ['vm', 'jail'],
    makes: async (t, bench) => await signalsReader(t, bench, 'KILL'),
    isTold: goesOn,
  },
  stalled: {
    boundaries: ['vm', 'jail'],
    makes: async (t, bench) => await signalsReader(t, bench, 'STOP'),
    isTold: goesOn,
  },
};

/** The tests of one boundary, by the gap that each makes. */
export function gapTests(boundary: Boundary): readonly (readonly [keyof typeof logGaps, Gap['makes']])[] {
  return Object.entries(gapRuns)
    .filter(([, { boundaries }]) => boundaries.includes(boundary))
    .map(([name, { makes, isTold }]) => [
      name as keyof typeof logGaps,
      async (t, bench) => {
        const outcome = await makes(t, bench);
        isTold(t, outcome);
        return outcome;
      },
    ]);
}

/** Another reader goes on where the one before stopped: it is told of, and nothing is lost. */
function goesOn(t: ExecutionContext, { events, result }: RunOutcome): void {
  const [restart, ...more] = withCode(events, 'log-reader-restarted');
  t.like(restart, { class_uid: 1008, activity_name: 'Restart' });
  t.deepEqual(more, []);
  t.deepEqual(
    refusals(events).map((event) => event.dst_endpoint?.port),
    [1001, 1002],
  );
  t.deepEqual([result?.complete, result?.incomplete], [true, []]);
}

/** Tries before and after something happens to the reader. */
async function signalsReader(t: ExecutionContext, bench: Bench, signal: 'KILL' | 'STOP'): Promise<RunOutcome> {
  const command = `
import os, socket, time
home = os.path.expanduser("~")
def attempt(port): socket.socket().connect_ex(("198.51.100.1", port))
attempt(1001)
open(home + "/begin", "w").close()
while not os.path.exists(home + "/done"): time.sleep(0.02)
attempt(1002)
`;
  const script = `kill -${signal} $(reader) && : >"$home/done"`;
  const running = await startBesideRoot(bench, { script, args: ['--timeout', '60', '--', 'python3', '-c', command] });
  running.stdin.end();
  const outcome = await running.ended;
  t.is(outcome.status, 0, outcome.stderr);
  return outcome;
}

/** A reader that stands still while the kernel’s log goes round. */
export async function overwritesRecords(t: ExecutionContext, bench: Bench): Promise<RunOutcome> {
  const { running, make } = await startAttempts(bench);
  await make(3);
  const reader = await (await processesOfJail(running.pid)).reader();
  const scratch = await makeScratchNamespace();
  try {
    process.kill(reader, 'SIGSTOP');
    await make(3);
    // As many lines of somebody else as the ring of any machine holds that this may run on.
    for (let round = 0; round < 8; round += 1) await logPackets(scratch, 'somebodyelse', 4000);
    process.kill(reader, 'SIGCONT');
  } finally {
    await scratch.close();
  }
  running.stdin.end();
  const outcome = await running.ended;
  t.is(outcome.result?.denied, 6, 'all are counted');
  return outcome;
}
