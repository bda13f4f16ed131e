import { randomBytes } from 'node:crypto';
import { isTapwardenError, messageOf, run as runProgram, sanitizeText, TapwardenError } from '../../base/index.ts';
import { directDestinations, openEventsFile, poolOf, type RunSummary, Sandbox } from '../../driver-vm/index.ts';
import { makeLogTag } from '../../nft/index.ts';
import { fenceRulesets } from '../../supervisor/index.ts';
import type { Command, Context } from '../context.ts';
import { ownFailure } from '../context.ts';
import { loadPolicy } from '../policy-file.ts';
import { Progress } from '../progress.ts';
import { writeResult } from '../result-file.ts';
import { prepareCarrier, withSnapshot } from '../run/carrier.ts';
import { describeEnd, exitOf, type RunEnd } from '../run/end.ts';
import { eventContext } from '../run/event-context.ts';
import { type RunOptions, readRunOptions } from '../run/options.ts';
import { startTimeLimit } from '../run/time-limit.ts';
import { Interrupted, SignalRelay } from '../signals.ts';
import { writeTimings } from '../timings-file.ts';

/** `tapwarden run`. */
export const runCommand: Command = {
  help: `Usage: tapwarden run [OPTION]… -- COMMAND [ARG…]

Boots a microVM, runs COMMAND in it and takes everything away again. Standard input, output and error pass through
unchanged. Packets that go around the proxy are refused, and each attempt is an OCSF event.

What may be reached
  --policy FILE         the egress policy, YAML or JSON (default: nothing may be reached)
  --allow HOST:PORT     one more destination; may be repeated

The machine
  --jail                no machine: COMMAND runs on this host's kernel, with the same fence, proxy and events, as a user
                        of its own that sees the host's programs read-only. Quicker, and one boundary fewer
  --image NAME          the image whose files COMMAND sees: 'default', the name of an image in the state directory, or
                        a path to an .ext4 file (default: default; in a jail: the host's own, as far as they are shown)
  --cpus N              processors, 1 to 64 (default: 1)
  --memory MIB          memory, 256 to 65536 MiB (default: 512)
  --fresh-boot          boot a guest where guests are emulated too. Else one that has booted before is restored, which is
                        quicker, and shares what its kernel made up at that boot with others (docs/snapshot.md)
  --id ID               the sandbox's name, a-z, 0-9 and '-' (default: a random one)

The command
  --env K=V             a variable; may be repeated. 'K' alone takes the value of this shell
  --workdir DIR         where it starts; made if it is not there (default: /home/workload)
  --timeout SECONDS     end it after so long: SIGTERM, 5 s later SIGKILL, 5 s later the sandbox; exit status 124

The record
  --events FILE         the OCSF events, appended as JSON lines
                        (default: events/ID.jsonl in the state directory)
  --events-max-size MIB begin a new file at this size, 1 to 1048576 MiB, and each day, UTC (default: 256); the old one
                        gets the number of its first event as its last name
  --events-keep N       keep this many old files, 1 to 100000, beside the new one (default: 16)
  --fsync POLICY        when events are brought to the disk: 'always' at once, 'interval' within a second, 'never' when
                        the system likes; only 'always' survives a power loss (default: interval)
  --result FILE         a JSON object that says how the run ended and what was allowed, denied and lost
  --allow-unlogged      go on where the kernel cannot log: attempts are then refused unseen
  --canary SECONDS      how often the fence is tried by packets that it must refuse, log and tell of, 1 to 3600
                        (default: 30)
  --no-audit            leave the kernel's audit system alone, in a jail the host's: of most packets no process is named
  --quiet               no progress and no summary on standard error

Exit status: that of COMMAND; 128+n when signal n ended it; 124 on timeout; 125 when tapwarden failed; 126 when COMMAND
cannot be executed, 127 when it is not found. SIGINT and SIGTERM reach COMMAND; a second one ends the sandbox.
`,
  run: async (context, args) => await runInSandbox(context, readRunOptions(context, args)),
};

async function runInSandbox(context: Context, options: RunOptions): Promise<number> {
  const progress = new Progress(context, options.quiet);
  let end: RunEnd = { exit: ownFailure, reason: 'tapwarden', summary: undefined };
  const onSummary = (summary: RunSummary): void => {
    end = { ...end, summary };
  };
  try {
    const how = await runToEnd(context, options, progress, onSummary);
    end = { ...end, ...how };
    return end.exit;
  } catch (error) {
    if (isTapwardenError(error, 'COMMAND_NOT_FOUND')) end = { ...end, exit: 127 };
    if (isTapwardenError(error, 'COMMAND_NOT_EXECUTABLE')) end = { ...end, exit: 126 };
    if (error instanceof Interrupted) end = { ...end, exit: 128 + error.signal, reason: 'signal' };
    if (end.exit === ownFailure) throw error;
    progress.error(error);
    return end.exit;
  } finally {
    progress.clear();
    if (options.resultFile !== undefined) await writeResult(options.resultFile, end, options.eventsFile);
  }
}

/** Runs the command and says how it ended. A run that fails later has a record all the same: hence `onSummary`. */
async function runToEnd(
  context: Context,
  options: RunOptions,
  progress: Progress,
  onSummary: (summary: RunSummary) => void,
): Promise<Pick<RunEnd, 'exit' | 'reason'>> {
  requireRoot();
  const loaded = Date.now();
  const policy = await loadPolicy(options.policyFile, options.allow);
  const pool = poolOf(context.env);
  const direct = await directDestinations(policy.policy, pool);
  const { carrier, image } = await prepareCarrier(context, options, progress);
  const signals = new SignalRelay();
  try {
    const whole = await withSnapshot(context, { options, carrier, progress, signal: signals.early });
    const prepared = Date.now();
    const events = await openEventsFile(options.eventsFile, options.rotation);
    if (events.torn !== undefined) progress.say(`a torn last line of the event log was moved to ${events.torn}`);
    const tag = makeLogTag(randomBytes(16));
    const sandbox = await Sandbox.create({
      id: options.id,
      paths: context.paths,
      run: runProgram,
      ...whole,
      policy: policy.policy,
      direct,
      pool,
      context: eventContext(options, policy, image),
      tag,
      rulesets: fenceRulesets(tag, direct),
      events,
      fsync: options.fsync,
      allowUnlogged: options.allowUnlogged,
      canaryMs: options.canarySeconds * 1000,
      audit: options.audit,
      onProgress: (line) => progress.step(line),
      onWarning: (line) => progress.say(line),
    });
    try {
      return await useSandbox(sandbox, options, signals, progress, onSummary);
    } finally {
      await writeTimings(context, { loaded, prepared, ...sandbox.timings });
    }
  } finally {
    signals.stop();
  }
}

/** Runs the command in a sandbox that was made, and takes the sandbox away whatever happens. */
async function useSandbox(
  sandbox: Sandbox,
  options: RunOptions,
  signals: SignalRelay,
  progress: Progress,
  onSummary: (summary: RunSummary) => void,
): Promise<Pick<RunEnd, 'exit' | 'reason'>> {
  try {
    progress.step(options.jail ? 'starting the jail' : 'starting the guest');
    await Promise.race([sandbox.start(), signals.beforeCommand()]);
    progress.clear();
    if (!sandbox.logging) {
      progress.warn('the kernel cannot log: attempts are refused unseen, and counted without an event of their own');
    }
    const limit = startTimeLimit(options.timeoutMs, sandbox);
    const end = await Promise.race([
      sandbox.exec(options.exec, () => {
        limit.begin();
        signals.forward((signal) => sandbox.signal(signal));
      }),
      signals.secondTime(),
      limit.ignored,
    ]).finally(() => limit.stop());
    const summary = await sandbox.stop(describeEnd(end, limit.expired));
    onSummary(summary);
    progress.summary(summary, options.eventsFile);
    progress.report(summary, options.eventsFile);
    if (summary.problem !== null) throw incomplete(summary, options.eventsFile);
    return exitOf(end, limit.expired);
  } catch (error) {
    // The record of a run that failed is finished too, where that is still possible.
    await sandbox.stop(`failed: ${messageOf(error).split('\n')[0]}`, true).then(onSummary, () => undefined);
    throw error;
  } finally {
    await sandbox.delete();
  }
}

function incomplete({ problem, unwritten }: RunSummary, eventsFile: string): TapwardenError {
  return new TapwardenError('EVENTS_UNWRITABLE', {
    message: `The event log ${eventsFile} is not complete, ${unwritten} events are lost: ${sanitizeText(problem ?? '', 4096)}`,
    hint: 'The command has run to its end; make room on the disk before the next run.',
    details: { unwritten },
  });
}

function requireRoot(): void {
  if (process.geteuid?.() === 0) return;
  throw new TapwardenError('NOT_ROOT', {
    message: "'tapwarden run' needs root: it makes network namespaces, devices and nftables rules",
    hint: "Use sudo. 'tapwarden rules' shows what would be loaded, without root.",
  });
}
