import { fstatSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { isTapwardenError, run } from '../base/index.ts';
import { type EventContext, EventLog, execLaunched, inspectLog, prepareLog, sandboxStarted } from './index.ts';

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

function opened(path: string): EventLog {
  return EventLog.open(path, environment);
}

test('EventLog: a new log is private, starts at 1, and holds what append returned', (t) => {
  const path = newPath(t);
  const log = opened(path);
  const first = log.append(body);
  const second = log.append(body);
  log.close();
  log.close();
  t.is(readFileSync(path, 'utf8'), `${JSON.stringify(first)}\n${JSON.stringify(second)}\n`);
  t.like(first.metadata, { sequence: 1, logged_time: 1790000000500 });
  t.is(second.metadata.sequence, 2);
  t.true(first.metadata.uid < second.metadata.uid);
  t.is(statSync(path).mode & 0o777, 0o600);
  t.is(statSync(join(path, '..')).mode & 0o777, 0o700);
});

test('EventLog: a log that exists is continued', (t) => {
  const path = newPath(t);
  for (let run = 0; run < 3; run += 1) {
    const log = opened(path);
    t.is(log.torn, undefined);
    log.append(body);
    log.close();
  }
  t.deepEqual(sequencesOf(path), [1, 2, 3]);
});

test('EventLog: a torn last line is moved aside and its number is given again', (t) => {
  const path = newPath(t);
  const first = opened(path);
  first.append(body);
  first.append(body);
  first.close();
  const text = readFileSync(path, 'utf8');
  writeFileSync(path, text.slice(0, -10));
  t.deepEqual(inspectLog(path), {
    nextSequence: 2,
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

test('EventLog: a torn first line is moved aside too', (t) => {
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
  title: (name) => `EventLog: ${name} is refused and left alone`,
});
test('a file of another program', foreign, 'root:x:0:0\n', /not JSON/);
test('a text without newline', foreign, 'root:x:0:0', /beginning of an event/);
test('JSON without a sequence', foreign, '{"time":1}\n', /no metadata.sequence/);
test('a sequence that is no integer', foreign, '{"time":1,"metadata":{"sequence":"7"}}\n', /no metadata.sequence/);
test('a block of zeros', foreign, '\0'.repeat(100), /beginning of an event/);
test('an endless line', foreign, `{"time":${'1'.repeat(3 * 1024 * 1024)}`, /more than/);

test('EventLog: a path that is a directory or below a file is refused', (t) => {
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

test('EventLog: a descriptor from another process is continued and closed', (t) => {
  const path = newPath(t);
  opened(path).close();
  const { fd, nextSequence } = prepareLog(path, 0);
  const log = EventLog.fromFd(fd, { ...environment, startSequence: nextSequence + 6 });
  t.is(log.append(body).metadata.sequence, 7);
  log.close();
  t.throws(() => fstatSync(fd), { code: 'EBADF' });
  t.deepEqual(inspectLog(path), { nextSequence: 8 });
  t.true(
    isTapwardenError(
      t.throws(() => EventLog.fromFd(0, { ...environment, startSequence: 0 })),
      'EVENTS_UNWRITABLE',
    ),
  );
});

test('EventLog: a write that fails throws and uses up no number', (t) => {
  const path = newPath(t);
  opened(path).close();
  const log = EventLog.fromFd(openSync(path, 'r'), { ...environment, startSequence: 1, name: 'log' });
  t.true(
    isTapwardenError(
      t.throws(() => log.append(body), { message: /The event log log/ }),
      'EVENTS_UNWRITABLE',
    ),
  );
  log.close();
  t.true(
    isTapwardenError(
      t.throws(() => log.append(body), { message: /closed/ }),
      'EVENTS_UNWRITABLE',
    ),
  );
  const full = EventLog.fromFd(openSync('/dev/full', 'a'), { ...environment, startSequence: 1 });
  t.true(
    isTapwardenError(
      t.throws(() => full.append(body), { message: /ENOSPC/ }),
      'EVENTS_UNWRITABLE',
    ),
  );
  t.throws(() => full.close(), { message: /EINVAL/ });
});

test('EventLog: a line that the disk takes in part is taken back', async (t) => {
  const path = newPath(t);
  opened(path).close();
  // The file size limit is in blocks of 1024 bytes; the kernel writes up to it and refuses the rest with EFBIG.
  const script = `
    import { randomBytes } from 'node:crypto';
    import { EventLog, sandboxStarted } from './build/ocsf/index.js';
    const log = EventLog.open(process.argv[1], { now: Date.now, randomBytes });
    const body = sandboxStarted(JSON.parse(process.argv[2]), { time: 1, accelerator: 'kvm' });
    let written = 0;
    try { for (;;) { log.append(body); written += 1; } } catch (error) { console.log(written, error.code, error.cause.code); }`;
  const node = [process.execPath, '--input-type=module', '-e', script, path, JSON.stringify(context)];
  const { stdout } = await run(['sh', '-c', 'ulimit -f 8; exec "$@"', 'sh', ...node]);
  const [written] = stdout.split(' ');
  t.true(Number(written) > 2);
  t.is(stdout.trim(), `${written} EVENTS_UNWRITABLE EFBIG`);
  t.deepEqual(inspectLog(path), { nextSequence: Number(written) + 1 });
});

test('EventLog: a line over the cap loses its longest texts first and says so', (t) => {
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
  const log = EventLog.fromFd(fd, { ...environment, startSequence: 1, maxBytes: 6000 });
  const event = log.append(long);
  const bytes = statSync(path).size;
  t.true(bytes <= 6000 && bytes > 5000, String(bytes));
  t.is(event.process.working_directory, long.process.working_directory, 'what is not longest stays');
  t.true(event.process.cmd_line.startsWith("run '\x01é"));
  t.true(event.metadata.is_truncated);
  t.true((event.metadata.untruncated_size ?? 0) >= 16);
  t.deepEqual(JSON.parse(readFileSync(path, 'utf8')), event);
  log.close();
});

test('EventLog: an event that no shortening makes fit is refused', (t) => {
  const path = newPath(t);
  opened(path).close();
  const { fd } = prepareLog(path, 0);
  const log = EventLog.fromFd(fd, { ...environment, startSequence: 1, maxBytes: 300 });
  t.true(
    isTapwardenError(
      t.throws(() => log.append(body)),
      'EVENT_INVALID',
    ),
  );
  log.close();
  t.is(statSync(path).size, 0);
});
