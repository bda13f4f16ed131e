import { fstatSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { isTapwardenError, run } from '../../base/index.ts';
import {
  type EventContext,
  execLaunched,
  inspectLog,
  JsonlWriter,
  type LogStatus,
  prepareLog,
  sandboxStarted,
} from '../index.ts';
import { withLogParts } from '../serialize.ts';

const context: EventContext = {
  ocsfVersion: '1.8.0',
  productVersion: '0.1.0',
  logName: 'tapwarden-events',
  sandboxId: 'vm1',
  runId: '0b0e0c1e-3c8e-4f7e-9a55-0d4b5a0d6f11',
  hostname: 'vm1',
  hypervisor: 'qemu',
  policy: { uid: 'default', name: 'default', version: 'sha256:9f' },
};
const body = sandboxStarted(context, { time: 1790000000123, accelerator: 'kvm' });
const environment = { now: () => 1790000000500, randomBytes: (size: number) => new Uint8Array(size) };

function newPath(t: ExecutionContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'tapwarden-ocsf-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  return join(directory, 'log', 'events.jsonl');
}

function sequencesOf(path: string): readonly unknown[] {
  const text = readFileSync(path, 'utf8');
  return text === ''
    ? []
    : text
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line).metadata.sequence);
}

function opened(path: string): JsonlWriter {
  return JsonlWriter.open(path, environment);
}

test('JsonlWriter: a new log is private, starts at 1, and holds what append returned', (t) => {
  const path = newPath(t);
  const log = opened(path);
  const first = log.append(body);
  const second = log.append(body);
  t.is(readFileSync(path, 'utf8'), '', 'lines are written by the end of the turn');
  log.flush();
  t.is(log.status.acknowledged, 2);
  log.close();
  log.close();
  if (first === undefined || second === undefined) return t.fail();
  const lines = [first, second].map((parts) => `${JSON.stringify(withLogParts(body, parts))}\n`);
  t.is(readFileSync(path, 'utf8'), lines.join(''));
  t.like(first, { sequence: 1, logged_time: 1790000000500 });
  t.is(second.sequence, 2);
  t.true(first.uid < second.uid);
  t.is(statSync(path).mode & 0o777, 0o600);
  t.is(statSync(join(path, '..')).mode & 0o777, 0o700);
});

test('JsonlWriter: a log that exists is continued', (t) => {
  const path = newPath(t);
  for (let run = 0; run < 3; run += 1) {
    const log = opened(path);
    t.is(log.torn, undefined);
    log.append(body);
    log.close();
  }
  t.deepEqual(sequencesOf(path), [1, 2, 3]);
});

test('JsonlWriter: a torn last line is moved aside and its number is given again', (t) => {
  const path = newPath(t);
  const first = opened(path);
  first.append(body);
  first.append(body);
  first.close();
  const text = readFileSync(path, 'utf8');
  writeFileSync(path, text.slice(0, -10));
  t.deepEqual(inspectLog(path), {
    nextSequence: 2,
    firstSequence: 1,
    torn: { offset: text.indexOf('\n') + 1, bytes: text.length - 10 - text.indexOf('\n') - 1 },
  });
  const log = opened(path);
  t.is(log.torn, `${path}.torn-20260921T141320.500Z`);
  log.append(body);
  log.close();
  t.deepEqual(sequencesOf(path), [1, 2]);
  t.is(readFileSync(log.torn ?? '', 'utf8'), text.slice(text.indexOf('\n') + 1, -10));
  t.is(statSync(log.torn ?? '').mode & 0o777, 0o600);
});

test('JsonlWriter: a torn first line is moved aside too', (t) => {
  const path = newPath(t);
  opened(path).close();
  writeFileSync(path, '{"tim');
  const log = opened(path);
  log.append(body);
  log.close();
  t.deepEqual(sequencesOf(path), [1]);
  t.is(readFileSync(log.torn ?? '', 'utf8'), '{"tim');
});

const foreign = test.macro({
  exec(t, content: string, reason: RegExp) {
    const path = newPath(t);
    opened(path).close();
    writeFileSync(path, content);
    const error = t.throws(() => opened(path), { message: reason });
    t.true(isTapwardenError(error, 'EVENTS_UNWRITABLE'));
    t.is(readFileSync(path, 'utf8'), content, 'the file is untouched');
    t.is(readdirSync(join(path, '..')).length, 1);
  },
  title: (name) => `JsonlWriter: ${name} is refused and left alone`,
});
test('a file of another program', foreign, 'root:x:0:0\n', /not JSON/);
test('a text without newline', foreign, 'root:x:0:0', /beginning of an event/);
test('JSON without a sequence', foreign, '{"time":1}\n', /no metadata.sequence/);
test('a sequence that is no integer', foreign, '{"time":1,"metadata":{"sequence":"7"}}\n', /no metadata.sequence/);
test('a block of zeros', foreign, '\0'.repeat(100), /beginning of an event/);
test('an endless line', foreign, `{"time":${'1'.repeat(3 * 1024 * 1024)}`, /more than/);

test('JsonlWriter: a path that is a directory or below a file is refused', (t) => {
  const path = newPath(t);
  opened(path).close();
  t.true(
    isTapwardenError(
      t.throws(() => opened(join(path, '..'))),
      'EVENTS_UNWRITABLE',
    ),
  );
  t.true(
    isTapwardenError(
      t.throws(() => opened(join(path, 'x', 'y'))),
      'EVENTS_UNWRITABLE',
    ),
  );
  t.true(
    isTapwardenError(
      t.throws(() => opened('/dev/null')),
      'EVENTS_UNWRITABLE',
    ),
  );
});

test('JsonlWriter: a descriptor from another process is continued and closed', (t) => {
  const path = newPath(t);
  opened(path).close();
  const { fd, nextSequence } = prepareLog(path, 0);
  const log = JsonlWriter.fromFd(fd, { ...environment, startSequence: nextSequence + 6 });
  t.is(log.append(body)?.sequence, 7);
  log.close();
  t.throws(() => fstatSync(fd), { code: 'EBADF' });
  t.deepEqual(inspectLog(path), { nextSequence: 8, firstSequence: 7 });
  t.true(
    isTapwardenError(
      t.throws(() => JsonlWriter.fromFd(0, { ...environment, startSequence: 0 })),
      'EVENTS_UNWRITABLE',
    ),
  );
});

test('JsonlWriter: what the disk refuses is held, others see it, and the end says how many are lost', async (t) => {
  const seen: LogStatus[] = [];
  const log = JsonlWriter.fromFd(openSync('/dev/full', 'a'), {
    ...environment,
    startSequence: 5,
    name: 'log',
    onStatus: (status) => seen.push(status),
  });
  t.is(log.append(body)?.sequence, 5);
  t.is(log.append(body)?.sequence, 6);
  const error = await t.throwsAsync(log.flushed(), { message: /The event log log cannot be written: ENOSPC/ });
  t.true(isTapwardenError(error, 'EVENTS_UNWRITABLE'));
  t.like(log.status, { state: 'failing', acknowledged: 4, held: 2, dropped: 0 });
  t.is(seen.length, 1);
  t.like(seen[0], { state: 'failing', held: 2 });
  const end = t.throws(() => log.close(), { message: /ENOSPC/ });
  t.like(end, { code: 'EVENTS_UNWRITABLE', details: { unwritten: 2 } });
  t.is(log.status.state, 'closed');
  t.throws(() => log.append(body), { message: /closed/ });
});

test('JsonlWriter: a line that the disk takes in part is taken back at the end', async (t) => {
  const path = newPath(t);
  opened(path).close();
  // The file size limit is in blocks of 1024 bytes; the kernel writes up to it and refuses the rest with EFBIG.
  const script = `
    import { randomBytes } from 'node:crypto';
    import { JsonlWriter, sandboxStarted } from './build/ocsf/index.js';
    const log = JsonlWriter.open(process.argv[1], { now: Date.now, randomBytes });
    const body = sandboxStarted(JSON.parse(process.argv[2]), { time: 1, accelerator: 'kvm' });
    for (let number = 0; number < 20; number += 1) log.append(body);
    log.flush();
    const { acknowledged, held } = log.status;
    try { log.close(); } catch ({ code, details }) { console.log(acknowledged, held, code, details.unwritten); }`;
  const node = [process.execPath, '--input-type=module', '-e', script, path, JSON.stringify(context)];
  const { stdout } = await run(['sh', '-c', 'ulimit -f 8; exec "$@"', 'sh', ...node]);
  const written = Number(stdout.split(' ')[0]);
  t.true(written > 2);
  t.is(stdout.trim(), `${written} ${20 - written} EVENTS_UNWRITABLE ${20 - written}`);
  t.deepEqual(inspectLog(path), { nextSequence: written + 1, firstSequence: 1 });
});

test('JsonlWriter: a line over the cap loses its longest texts first and says so', (t) => {
  const path = newPath(t);
  const long = execLaunched(context, {
    time: 1,
    execId: 'e',
    argv: ['run', `\x01${'é'.repeat(4000)}`],
    workdir: `/${'w'.repeat(900)}`,
    user: { uid: 1 },
  });
  opened(path).close();
  const { fd } = prepareLog(path, 0);
  const log = JsonlWriter.fromFd(fd, { ...environment, startSequence: 1, maxBytes: 6000 });
  log.append(long);
  log.flush();
  const event = JSON.parse(readFileSync(path, 'utf8'));
  const bytes = statSync(path).size;
  t.true(bytes <= 6000 && bytes > 5000, String(bytes));
  t.is(event.process.working_directory, long.process.working_directory, 'what is not longest stays');
  t.true(event.process.cmd_line.startsWith("run '\x01é"));
  t.true(event.metadata.is_truncated);
  t.true((event.metadata.untruncated_size ?? 0) >= 16);
  log.close();
});

test('JsonlWriter: an event that no shortening makes fit is refused', (t) => {
  const path = newPath(t);
  opened(path).close();
  const { fd } = prepareLog(path, 0);
  const log = JsonlWriter.fromFd(fd, { ...environment, startSequence: 1, maxBytes: 300 });
  t.true(
    isTapwardenError(
      t.throws(() => log.append(body)),
      'EVENT_INVALID',
    ),
  );
  log.close();
  t.is(statSync(path).size, 0);
});
