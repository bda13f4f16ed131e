import { closeSync, writeSync } from 'node:fs';
import { appendFile, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { dir } from 'tmp-promise';
import { start } from '../base/index.ts';
import { openEventsFile } from './events-file.ts';

let folder = '';
test.before(async () => {
  folder = (await dir({ prefix: 'tapwarden-events-' })).path;
});
test.after.always(async () => await rm(folder, { recursive: true, force: true }));

test('openEventsFile() makes a private file, and starts at 1', async (t) => {
  const events = await openEventsFile(join(folder, 'new', 'a.jsonl'));
  t.is(events.nextSequence, 1);
  t.is((await stat(events.path)).mode & 0o777, 0o600);
  closeSync(events.fd);
});

test('openEventsFile() refuses a file that another run has open, and lets the next one in after it', async (t) => {
  const path = join(folder, 'busy.jsonl');
  const first = await openEventsFile(path);
  await t.throwsAsync(openEventsFile(path), { code: 'EVENTS_UNWRITABLE', message: /in use by another run/ });
  closeSync(first.fd);
  const second = await openEventsFile(path);
  closeSync(second.fd);
});

test('openEventsFile() holds its lock until the last process that has the file is gone', async (t) => {
  const path = join(folder, 'handed-on.jsonl');
  const events = await openEventsFile(path);
  const heir = start(['sleep', '20'], { stdio: ['ignore', 'ignore', 'ignore', events.fd] });
  closeSync(events.fd);
  await t.throwsAsync(openEventsFile(path), { code: 'EVENTS_UNWRITABLE' });
  heir.process.kill('SIGKILL');
  await heir.ended;
  closeSync((await openEventsFile(path)).fd);
});

test('openEventsFile() continues a log, and moves a torn last line aside', async (t) => {
  const path = join(folder, 'torn.jsonl');
  const events = await openEventsFile(path);
  const line = '{"time":1,"metadata":{"sequence":7}}\n';
  writeSync(events.fd, line);
  closeSync(events.fd);
  await appendFile(path, '{"time":2,"meta');
  const next = await openEventsFile(path);
  t.is(next.nextSequence, 8);
  t.is(await readFile(next.torn ?? '', 'utf8'), '{"time":2,"meta');
  t.is(await readFile(path, 'utf8'), line);
  closeSync(next.fd);
});

test('openEventsFile() refuses a file that is no log of ours, and leaves it as it is', async (t) => {
  const path = join(folder, 'notes.txt');
  await appendFile(path, 'my notes\n');
  await t.throwsAsync(openEventsFile(path), { code: 'EVENTS_UNWRITABLE' });
  t.is(await readFile(path, 'utf8'), 'my notes\n');
});
