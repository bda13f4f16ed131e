import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { run } from '../../base/index.ts';
import { ownerOf } from '../../supervisor/attribution/audit-owner.ts';
import { AuditSocket } from '../../supervisor/attribution/audit-socket.ts';
import { incompleteCases } from '../support/evidence/incomplete.ts';
import { besideSupervisor, processesOfJail } from '../support/jail-processes.ts';
import { setLogSwitch } from '../support/log-switch.ts';
import { type RunResult, readEvents, readResult, refusals, withCode } from '../support/record.ts';
import type { Bench, Boundary } from '../support/sandbox-bench.ts';
import type { CommandResult } from '../support/tapwarden.ts';
import { until } from '../support/until.ts';
import { attempts, startAttempts } from './attempts.ts';
import { overwritesRecords } from './log-gaps.ts';
import { letsPacketsOutPastTheFence } from './past-the-fence.ts';
import { countsWithoutLines } from './unlogged.ts';

/** How a reason comes about: in which boundary it can be made, and a run in which it is. Answers with the run's result. */
type Incomplete = {
  readonly boundary: Boundary;
  readonly makes: (t: ExecutionContext, bench: Bench) => Promise<RunResult | undefined>;
};

/** Reasons that a run makes true. Of a guest that tells too much, driver-vm/channel-host.kernel.test.ts plays the part. */
type MadeInRuns = Exclude<keyof typeof incompleteCases, 'event-budget'>;

/** A run in which each reason is the truth. */
export const incompleteRuns: Readonly<Record<MadeInRuns, Incomplete>> = {
  'log-gap': { boundary: 'jail', makes: async (t, bench) => (await overwritesRecords(t, bench)).result },
  'log-unread': { boundary: 'jail', makes: losesLines },
  // A jail's host has to be able to log; a guest's kernel can be made that does not.
  unlogged: { boundary: 'vm', makes: countsWithoutLines },
  overflow: { boundary: 'jail', makes: fillsSets },
  canary: { boundary: 'jail', makes: losesItsNamespace },
  unwritten: { boundary: 'jail', makes: fillsTheDisk },
  // A jail has no second vantage.
  bypassed: { boundary: 'vm', makes: letsPacketsOutPastTheFence },
  'audit-loss': { boundary: 'jail', makes: losesAuditRules },
  unknown: { boundary: 'jail', makes: losesItsTable },
  'no-record': { boundary: 'jail', makes: losesItsWriter },
};

/** The tests of one boundary: a title, and the body that makes the reason true and asserts that the run says so. */
export function incompleteTests(boundary: Boundary): readonly (readonly [title: string, body: Body])[] {
  return Object.entries(incompleteRuns)
    .filter(([, run]) => run.boundary === boundary)
    .map(([code, { makes }]) => [
      `a record is not complete, ${code}: ${incompleteCases[code as MadeInRuns].when}`,
      async (t, bench) => {
        const result = await makes(t, bench);
        t.false(result?.complete);
        t.true(
          result?.incomplete.some((reason) => reason.startsWith(`${code}: `)),
          result?.incomplete.join('; '),
        );
      },
    ]);
}
type Body = (t: ExecutionContext, bench: Bench) => Promise<void>;

/** A run in a jail whose log is not held against its result: it has very many events, or is known to lack some. */
async function runUnread(
  bench: Bench,
  args: readonly string[],
  command: readonly string[],
  input = '',
): Promise<CommandResult & { readonly result: RunResult | undefined }> {
  const [id, file] = [bench.newId(), join(bench.folder, 'unread.json')];
  const log = args.includes('--events') ? [] : ['--events', join(bench.folder, `${id}.jsonl`)];
  const own = ['run', '--jail', '--quiet', '--id', id, '--result', file, ...log, ...args];
  const end = await bench.tapwarden([...own, '--', ...command], { input });
  return { ...end, result: await readResult(file) };
}

/** A kernel that does not log for other namespaces for a moment: the fence counts lines that nobody can read. */
async function losesLines(t: ExecutionContext, bench: Bench): Promise<RunResult | undefined> {
  const { running, make } = await startAttempts(bench);
  try {
    await setLogSwitch('0');
    await make(3);
  } finally {
    await setLogSwitch('1');
  }
  running.stdin.end();
  const { result, events } = await running.ended;
  t.deepEqual([result?.denied, result?.attempts, result?.lost], [3, 3, 3]);
  t.is(refusals(events).length, 3, 'they are told of by destination all the same');
  return result;
}

/** More destinations of a protocol without ports than a set takes, before the sets can be changed. */
async function fillsSets(t: ExecutionContext, bench: Bench): Promise<RunResult | undefined> {
  const { status, stderr, result } = await runUnread(bench, [], ['python3', '-c', echoes, '40000']);
  t.is(status, 0, stderr);
  t.is(result?.denied, 40_000);
  return result;
}
const echoes = `
import socket, struct, sys
echo = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP)
packet = struct.pack("!BBHHH", 8, 0, 0, 0, 1)
for number in range(int(sys.argv[1])):
    try: echo.sendto(packet, (socket.inet_ntoa(struct.pack("!I", 0xc6120000 + number)), 0))
    except PermissionError: pass
`;

/** The path by which the supervisor enters the workload's namespace goes away, until a round of canaries is missed. */
async function losesItsNamespace(_t: ExecutionContext, bench: Bench): Promise<RunResult | undefined> {
  const log = join(bench.folder, 'canary.jsonl');
  const { running } = await startAttempts(bench, ['--canary', '1', '--events', log]);
  const beside = besideSupervisor(await processesOfJail(running.pid));
  const path = '/run/netns/workload';
  await run([
    ...beside,
    'sh',
    '-euc',
    `mkdir /run/kept; : >/run/kept/net; mount --bind ${path} /run/kept/net; umount -l ${path}`,
  ]);
  await until(async () => withCode(await readEvents(log), 'canary-missed').length > 0);
  await run([...beside, 'mount', '--bind', '/run/kept/net', path]);
  running.stdin.end();
  return (await running.ended).result;
}

/** A log on a disk that is full before the run is over. Its events cannot agree with its counts. */
async function fillsTheDisk(t: ExecutionContext, bench: Bench): Promise<RunResult | undefined> {
  const disk = join(bench.folder, 'disk');
  await mkdir(disk);
  await run(['mount', '-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', disk]);
  try {
    const events = join(disk, 'events.jsonl');
    const command = ['python3', '-c', attempts];
    const { status, stderr, result } = await runUnread(bench, ['--events', events], command, '800\n');
    t.is(status, 125, stderr);
    t.regex(stderr, /EVENTS_UNWRITABLE/);
    t.is(result?.denied, 800);
    const written = (await readEvents(events)).length;
    t.true(written > 0 && written < 800, `${written} are in the log`);
    return result;
  } finally {
    await run(['umount', disk]);
  }
}

/** Somebody removes the rules by which the kernel's audit system tells of the workload. */
async function losesAuditRules(t: ExecutionContext, bench: Bench): Promise<RunResult | undefined> {
  const { running, make } = await startAttempts(bench);
  await make(1);
  const { supervisor } = await processesOfJail(running.pid);
  const socket = new AuditSocket();
  try {
    const own = (await socket.listRules()).filter((rule) => ownerOf(rule)?.pid === supervisor);
    t.true(own.length > 0, 'audit is used here');
    for (const rule of own) await socket.deleteRule(rule);
  } finally {
    socket.close();
  }
  await make(1);
  running.stdin.end();
  const { result } = await running.ended;
  t.is(result?.denied, 2);
  return result;
}

/** Somebody deletes the fence. It is loaded again; what was sent meanwhile nobody counted. */
async function losesItsTable(_t: ExecutionContext, bench: Bench): Promise<RunResult | undefined> {
  const log = join(bench.folder, 'table.jsonl');
  const { running, make } = await startAttempts(bench, ['--events', log]);
  await make(2);
  const beside = besideSupervisor(await processesOfJail(running.pid));
  const inWorkload = ['nsenter', '--net=/run/netns/workload', '--'];
  await run([...beside, ...inWorkload, 'nft', 'delete', 'table', 'inet', 'tapwarden_fence']);
  await until(async () => withCode(await readEvents(log), 'ruleset-changed').length > 0);
  await make(2);
  running.stdin.end();
  return (await running.ended).result;
}

/** The process that writes the record is killed. */
async function losesItsWriter(t: ExecutionContext, bench: Bench): Promise<RunResult | undefined> {
  const { running, make } = await startAttempts(bench);
  await make(1);
  process.kill((await processesOfJail(running.pid)).channel, 'SIGKILL');
  const { status, result } = await running.ended;
  t.is(status, 125);
  t.is(result?.lost, null, 'nobody knows what it still had to write');
  return result;
}
