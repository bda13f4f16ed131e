import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readEvents, withCode } from '../support/record.ts';
import { vmTest } from '../support/vm-test.ts';
import { endTests } from './ends.ts';

vmTest('run: environment, working directory and exit status reach the command and come back', async (t, bench) => {
  const script =
    'pwd; id -un; echo "$GREETING|$FROM_SHELL|$PATH"; cat /etc/hostname 2>/dev/null; test -w .; echo "$?"; exit 255';
  const { status, stdout, result, events } = await bench.run(
    ['--env', 'GREETING=good day=1', '--env', 'FROM_SHELL', '--workdir', '/srv/new/place', '--', 'sh', '-c', script],
    { env: { FROM_SHELL: 'inherited', NOT_PASSED: 'secret' } },
  );
  t.is(status, 255);
  t.deepEqual(stdout.toString('utf8').split('\n').slice(0, 3), [
    '/srv/new/place',
    'workload',
    'good day=1|inherited|/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  ]);
  t.true(stdout.toString('utf8').endsWith('\n0\n'), 'what was made of the directory is the workload’s');
  const counts = ['allowed', 'denied', 'attempts', 'lost', 'invalid', 'unwritten', 'findings', 'bypassed'];
  t.deepEqual(Object.keys(result ?? {}), ['exit', 'reason', ...counts, 'complete', 'incomplete', 'events']);
  t.like(result, {
    exit: 255,
    reason: 'exited',
    allowed: 0,
    denied: 0,
    attempts: 0,
    lost: 0,
    invalid: 0,
    unwritten: 0,
    findings: 0,
    bypassed: 0,
    complete: true,
    incomplete: [],
  });
  t.deepEqual(
    events.map(({ metadata }) => metadata.event_code),
    ['sandbox-started', 'exec-launched', 'exec-exited', 'sandbox-stopped'],
  );
  const exited = withCode(events, 'exec-exited')[0];
  t.is(exited?.status_code, 'exit:255');
  t.is(exited?.exit_code, 255);
  t.is(exited?.process?.working_directory, '/srv/new/place');
  t.is(exited?.process?.cmd_line, `sh -c '${script}'`);
});

vmTest(
  'run: commands that do not start give 127 and 126, and runs into one log continue its sequence',
  async (t, bench) => {
    const log = join(bench.folder, 'together.jsonl');
    const missing = await bench.run(['--events', log, '--', 'no-such-command', '--flag']);
    t.is(missing.status, 127);
    t.regex(missing.stderr, /^tapwarden: COMMAND_NOT_FOUND: Cannot run 'no-such-command': /);
    t.like(missing.result, { exit: 127, reason: 'tapwarden', lost: 0 });

    const notExecutable = await bench.run(['--events', log, '--', '/etc/passwd']);
    t.is(notExecutable.status, 126);
    t.regex(notExecutable.stderr, /^tapwarden: COMMAND_NOT_EXECUTABLE: Cannot run '\/etc\/passwd': /);
    t.like(notExecutable.result, { exit: 126, reason: 'tapwarden', lost: 0 });

    // A line that a run which was cut off left half written is moved aside, and said.
    await writeFile(log, '{"time":1,"class_uid":40', { flag: 'a' });
    const third = await bench.run(['--events', log, '--', 'true']);
    t.is(third.status, 0);
    t.regex(third.stderr, /a torn last line of the event log was moved to /);

    const events = await readEvents(log);
    t.is(new Set(events.map(({ metadata }) => metadata.correlation_uid)).size, 3);
    t.deepEqual(
      events.map(({ metadata }) => metadata.sequence),
      Array.from(events, (_, at) => at + 1),
    );
    t.is(withCode(events, 'sandbox-stopped').length, 3);
    t.is(withCode(events, 'exec-launched').length, 1);
  },
);

for (const [title, body] of endTests) vmTest(`run: ${title}`, body);

vmTest('run: a command that takes all memory is killed, and the supervisor lives to tell', async (t, bench) => {
  const hog = `
import socket
socket.socket().connect_ex(("198.51.100.1", 80))
kept = [b"x" * (1 << 28) for _ in range(4)]
`;
  const { status, stderr, result } = await bench.run(['--', 'python3', '-c', hog]);
  t.is(status, 137, stderr);
  t.like(result, { exit: 137, reason: 'signal', denied: 1, attempts: 1, lost: 0 });
});

vmTest('run: --timeout ends a command politely and then for good, with 124', async (t, bench) => {
  const script = 'trap "echo asked" TERM; echo begun; while :; do sleep 0.2; done';
  const begun = Date.now();
  const { status, stdout, stderr, result, events } = await bench.run(['--timeout', '1', '--', 'sh', '-c', script]);
  t.is(status, 124, stderr);
  t.is(stdout.toString('utf8'), 'begun\nasked\n');
  t.true(Date.now() - begun > 6000, 'it had 5 s after SIGTERM');
  t.deepEqual([result?.exit, result?.reason, result?.lost], [124, 'timeout', 0]);
  t.is(withCode(events, 'exec-exited')[0]?.status_code, 'signal:SIGKILL');
});
