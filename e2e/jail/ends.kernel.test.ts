import { chmod, mkdir, readFile, rm, symlink } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { run } from '../../base/index.ts';
import { endTests } from '../command/ends.ts';
import { jailTest } from '../support/jail-test.ts';
import { refusals, withCode } from '../support/record.ts';
import { until } from '../support/until.ts';

jailTest('jail: environment, streams and exit status pass, and the events say that it is a jail', async (t, bench) => {
  const script = 'id -un; id -u; echo "$GREETING"; cat; echo error >&2; exit 255';
  const { status, stdout, stderr, result, events, id } = await bench.run(
    ['--env', 'GREETING=good day=1', '--', 'sh', '-c', script],
    { input: 'input\n' },
  );
  t.is(status, 255);
  t.is(stdout.toString('utf8'), 'workload\n1000\ngood day=1\ninput\n');
  t.regex(stderr, /^tapwarden: warning: this is a jail: no virtual machine /);
  t.true(stderr.includes('error\n'));
  t.like(result, { exit: 255, reason: 'exited', denied: 0, lost: 0, invalid: 0 });
  t.deepEqual(
    events.map(({ metadata }) => metadata.event_code),
    ['sandbox-started', 'exec-launched', 'exec-exited', 'sandbox-stopped'],
  );
  const [started, launched, exited] = events;
  t.is(started?.message, `Sandbox ${id} started in a jail: no virtual machine stands between it and its host`);
  t.like(started, { device: { type_id: 99, type: 'Jail', uid: id }, unmapped: { isolation: 'jail' } });
  t.is(exited?.exit_code, 255);
  t.regex(launched?.process?.user?.uid ?? '', /^19000\d{5}$/);
});

for (const [title, body] of endTests) jailTest(`jail: ${title}`, body);

jailTest('jail: commands that do not start give 127 and 126', async (t, bench) => {
  const missing = await bench.run(['--', 'no-such-command']);
  t.is(missing.status, 127);
  t.regex(missing.stderr, /^tapwarden: COMMAND_NOT_FOUND: Cannot run 'no-such-command': /m);
  // Hidden, and so not there.
  t.is((await bench.run(['--', '/root/x'])).status, 127);
  const notExecutable = await bench.run(['--', '/etc/hosts']);
  t.is(notExecutable.status, 126);
});

jailTest('jail: a signal reaches the command, and how it ended is told', async (t, bench) => {
  const running = bench.start([
    '--',
    'sh',
    '-c',
    'trap "echo asked; exit 3" TERM; echo ready; while :; do sleep 0.1; done',
  ]);
  await until(() => running.output().includes('ready'));
  running.kill('SIGTERM');
  const { status, stdout, result } = await running.ended;
  t.is(status, 3);
  t.is(stdout.toString('utf8'), 'ready\nasked\n');
  t.like(result, { exit: 3, reason: 'exited' });
});

jailTest('jail: a program that the host lacks is named, and no command runs', async (t, bench) => {
  const folder = join(bench.folder, 'programs');
  await mkdir(folder);
  // The workload's user starts a part of it.
  await chmod(bench.folder, 0o755);
  const shown = await run([
    'find',
    '-H',
    '/bin',
    '/sbin',
    '/usr/bin',
    '/usr/sbin',
    '-maxdepth',
    '1',
    '!',
    '-type',
    'd',
  ]);
  const programs = new Map(shown.stdout.split('\n').map((path) => [basename(path), path]));
  for (const name of ['bwrap', 'nft']) {
    programs.delete(name);
    await rm(join(folder, name), { force: true });
    for (const [other, path] of programs) await symlink(path, join(folder, other)).catch(() => undefined);
    const { status, stderr, stdout } = await bench.run(['--', 'echo', 'ran'], { env: { TAPWARDEN_PATH: folder } });
    t.is(status, 125);
    t.is(stdout.toString('utf8'), '');
    t.regex(stderr, new RegExp(`GUEST_SETUP_FAILED.*${name}|NFT_MISSING.*'${name}'`));
  }
});

jailTest('jail: --timeout ends a command, and what it left behind', async (t, bench) => {
  const begun = Date.now();
  const { status, result } = await bench.run(['--timeout', '1', '--', 'sh', '-c', 'sleep 300 & sleep 300']);
  t.is(status, 124);
  t.is(result?.reason, 'timeout');
  t.true(Date.now() - begun < 15_000);
});

jailTest('jail: two at once each have their own packets, and nothing of each other', async (t, bench) => {
  const attempt = (last: number) => `
import os, socket, sys
print("ready", flush=True)
sys.stdin.readline()
print(len([name for name in os.listdir("/proc") if name.isdigit()]))
for port in range(20): socket.socket().connect_ex(("198.51.100.${last}", 1000 + port))
`;
  const runs = [1, 2].map((last) => ({
    last,
    run: bench.start(['--quiet', '--', 'python3', '-c', attempt(last)]),
  }));
  for (const { run } of runs) await until(() => run.output().includes('ready'));
  for (const { run } of runs) run.stdin.end('go\n');
  const uids = new Set<string | undefined>();
  for (const { last, run } of runs) {
    const { status, stdout, result, events } = await run.ended;
    t.is(status, 0);
    t.is(stdout.toString('utf8'), 'ready\n2\n', 'itself, and process 1');
    t.like(result, { denied: 20, attempts: 20, lost: 0 });
    t.deepEqual([...new Set(refusals(events).map(({ dst_endpoint: to }) => to?.ip))], [`198.51.100.${last}`]);
    uids.add(withCode(events, 'exec-launched')[0]?.process?.user?.uid);
  }
  t.is(uids.size, 2);
});

jailTest('jail: --memory and --cpus are limits that hold, or are refused', async (t, bench) => {
  const hog = 'kept = [b"x" * (1 << 26) for _ in range(16)]; print("took a gibibyte")';
  const { status, stdout, stderr } = await bench.run(['--memory', '256', '--', 'python3', '-c', hog]);
  if (/JAIL_UNSUPPORTED/.test(stderr)) t.is(status, 125);
  else {
    t.is(status, 137, stderr);
    t.is(stdout.toString('utf8'), '');
  }
});

jailTest('jail: after a kill -9 of tapwarden nothing of it runs, and gc takes the rest away', async (t, bench) => {
  for (const ms of [100, 200, 300, 400, 600, 1500]) {
    const running = bench.start(['--quiet', '--', 'sh', '-c', 'sleep 300 & sleep 300']);
    await sleep(ms);
    running.kill('SIGKILL');
    await running.ended;
    const { status, stdout, stderr } = await bench.tapwarden(['gc', '--json']);
    t.is(status, 0, stderr);
    t.deepEqual((JSON.parse(stdout.toString('utf8')) as { alive: readonly string[] }).alive, []);
    const record = await readFile('/run/tapwarden-log-switch.json', 'utf8').catch(() => '');
    t.false(record.includes(`"${running.id}"`), `it holds no switch after ${ms} ms`);
  }
  // What is left of the host is looked at by the bench.
});
