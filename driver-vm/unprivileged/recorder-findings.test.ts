import test from 'ava';
import { schemaAvailable } from '../../e2e/support/ocsf-schema.ts';
import { counted, exec, packet, problems, recording, refused, request } from '../../e2e/support/recording.ts';

test('Recorder reports what was refused, in lines that are safe to print; nothing where nothing was', (t) => {
  t.deepEqual(recording().recorder.stopped('end', false, {}).report, []);
  const { recorder } = recording();
  for (let index = 0; index < 3; index += 1) recorder.fact(packet({ destinationPort: 443 }));
  recorder.fact(request({ host: 'x\u001b[2J"; reboot' }));
  for (let last = 1; last <= 9; last += 1)
    recorder.fact(packet({ destination: `203.0.113.${last}`, destinationPort: 1 + last }));
  const { report } = recorder.stopped('end', false, {});
  t.deepEqual(report.slice(0, 2), [
    'refused: tcp 198.51.100.1:443, 3 packets, by uid=1000',
    '  The program did not use the proxy. Make it honour HTTP_PROXY and HTTPS_PROXY, and allow the host by its name in the policy.',
  ]);
  t.is(report.at(-1), 'and 6 more destinations');
  for (const line of report) t.regex(line, /^[\x20-\x7e…]{1,1200}$/);
});

test('Recorder makes a finding of what the host dropped, and its record is complete no more', (t) => {
  const { recorder, findings } = recording();
  recorder.launched(exec, 1);
  recorder.hostDrops({ spoofed: 1, ipv6: 0 });
  recorder.counts(counted({}));
  const {
    bypassed,
    findings: opened,
    complete,
    incomplete,
    report,
  } = recorder.stopped('end', false, { spoofed: 1, ipv6: 2 });
  t.deepEqual({ bypassed, opened, complete }, { bypassed: 3, opened: 1, complete: false });
  t.deepEqual(incomplete, ['bypassed: 3 packets came past the fence, whose word counts no more']);
  t.deepEqual(
    findings.map(({ activity_name, severity }) => `${activity_name} ${severity}`),
    ['Create Critical', 'Close Critical'],
  );
  t.regex(report[0] ?? '', /^finding: Critical: Packets went past the fence of the guest: The host dropped 3 packets/);
  if (schemaAvailable() === undefined) t.deepEqual(problems(findings), []);
});

test('Recorder tells of a changed ruleset in an event and in a finding that rests on it', (t) => {
  const { recorder, events, findings } = recording();
  recorder.rulesetChanged({ where: 'slot', difference: ['+ rule'], differences: 1, restoredMs: 40 });
  t.like(events[0], { class_uid: 5019, severity: 'High', unmapped: { ruleset: { where: 'slot', restored_ms: 40 } } });
  t.is(findings.length, 1);
  const { complete, incomplete, findings: opened } = recorder.stopped('end', false, {});
  t.deepEqual({ complete, opened }, { complete: false, opened: 1 });
  t.is(findings.length, 2);
  t.deepEqual(incomplete, ['unknown: a ruleset was changed 1 times until it was loaded again']);
});

test('Recorder makes one finding of a flood, and names the events that it rests on', (t) => {
  const { recorder, findings, clock } = recording();
  for (let index = 0; index < 5000; index += 1) recorder.fact(packet());
  clock.now += 61_000;
  recorder.tick();
  t.deepEqual(
    findings.map(({ activity_name }) => activity_name),
    ['Create', 'Close'],
  );
  t.is(recorder.stopped('end', false, {}).findings, 1);
});

test('Recorder does not forget packets whose counters somebody made anew', (t) => {
  const { recorder, events } = recording();
  recorder.launched(exec, 1);
  for (let index = 0; index < 5; index += 1) recorder.fact(packet());
  recorder.fact({ kind: 'ruleset-changed', where: 'fence', difference: ['- table'], differences: 1, restoredMs: 300 });
  recorder.counts(counted({ deniedTcp: 2 }));
  t.is(refused(events), 5);
  t.like(recorder.stopped('end', false, {}), { denied: 5, lost: 0, complete: false, findings: 1 });
});

test('Recorder makes one finding of forged lines, and the record is as complete as before', (t) => {
  const { recorder, events, findings } = recording();
  recorder.launched(exec, 1);
  for (const lines of [1, 99]) recorder.fact({ kind: 'forged-lines', by: 'program', lines });
  recorder.counts(counted({}));
  t.is(refused(events), 0);
  t.like(recorder.stopped('end', false, {}), { complete: true, findings: 1 });
  t.deepEqual(
    findings.map(({ activity_name }) => activity_name),
    ['Create', 'Close'],
  );
});
