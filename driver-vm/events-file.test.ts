import { writeSync } from 'node:fs';
import { appendFile, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import { dir } from 'tmp-promise';
import { start } from '../base/index.ts';
import type { Rotation } from '../ocsf/index.ts';
import { openEventsFile } from './events-file.ts';

let folder = '';
test.before(async () => {
  folder = (await dir({ prefix: 'tapwarden-events-' })).path;
});
test.after.always(async () => await rm(folder, { recursive: true, force: true }));

const due: Rotation = { maxBytes: 100, retention: { files: 2 } };
const line = (sequence: number): string =>
  `${JSON.stringify({ time: 1, metadata: { sequence }, fill: 'x'.repeat(100) })}\n`;

test('openEventsFile() makes a private file, starts at 1, and leaves nothing but the file', async (t) => {
  const events = await openEventsFile(join(folder, 'new', 'a.jsonl'));
  t.is(events.nextSequence, 1);
  t.is((await stat(events.path)).mode & 0o777, 0o600);
  t.is((await stat(join(folder, 'new'))).mode & 0o777, 0o700);
  t.is((await stat(`${events.path}.next`)).mode & 0o777, 0o700);
  await events.close();
  t.deepEqual(await readdir(join(folder, 'new')), ['a.jsonl']);
});

test('openEventsFile() refuses a file that another run has open, and lets the next one in after it', async (t) => {
  const path = join(folder, 'busy.jsonl');
  const first = await openEventsFile(path);
  await t.throwsAsync(openEventsFile(path), { code: 'EVENTS_UNWRITABLE', message: /in use by another run/ });
  first.handOver();
  await t.throwsAsync(openEventsFile(path), { code: 'EVENTS_UNWRITABLE', message: /in use by another run/ });
  await first.close();
  const second = await openEventsFile(path);
  await second.close();
});

test('openEventsFile() holds its lock until the last process that has the folder is gone', async (t) => {
  const path = join(folder, 'handed-on.jsonl');
  const events = await openEventsFile(path);
  const heir = start(['sleep', '20'], { stdio: ['ignore', 'ignore', 'ignore', events.fd, events.folderFd] });
  await events.close();
  await t.throwsAsync(openEventsFile(path), { code: 'EVENTS_UNWRITABLE' });
  heir.process.kill('SIGKILL');
  await heir.ended;
  await (await openEventsFile(path)).close();
});

test('openEventsFile() lets one of many in at a time', async (t) => {
  const path = join(folder, 'contested.jsonl');
  const inside = { now: 0, most: 0, times: 0 };
  const enter = async (): Promise<void> => {
    for (let times = 0; times < 5; ) {
      const events = await openEventsFile(path).catch(() => undefined);
      if (events === undefined) {
        await sleep(1);
        continue;
      }
      inside.now += 1;
      inside.most = Math.max(inside.most, inside.now);
      inside.times += 1;
      times += 1;
      await sleep(1);
      inside.now -= 1;
      await events.close();
    }
  };
  await Promise.all([enter(), enter(), enter()]);
  t.like(inside, { most: 1, times: 15 });
});

test('openEventsFile() continues a log, and moves a torn last line aside', async (t) => {
  const path = join(folder, 'torn.jsonl');
  const events = await openEventsFile(path);
  writeSync(events.fd, line(7));
  await events.close();
  await appendFile(path, '{"time":2,"meta');
  const next = await openEventsFile(path);
  t.is(next.nextSequence, 8);
  t.is(await readFile(next.torn ?? '', 'utf8'), '{"time":2,"meta');
  t.is(await readFile(path, 'utf8'), line(7));
  await next.close();
});

test('openEventsFile() refuses a file that is no log of ours, and leaves it as it is', async (t) => {
  const path = join(folder, 'notes', 'notes.txt');
  await mkdir(join(folder, 'notes'));
  await appendFile(path, 'my notes\n');
  await t.throwsAsync(openEventsFile(path), { code: 'EVENTS_UNWRITABLE' });
  t.is(await readFile(path, 'utf8'), 'my notes\n');
  t.deepEqual(await readdir(join(folder, 'notes')), ['notes.txt']);
});

test('openEventsFile() rotates what is due, and takes away what a killed run left', async (t) => {
  const path = join(folder, 'left', 'a.jsonl');
  const first = await openEventsFile(path);
  writeSync(first.fd, line(1));
  await first.close();
  await mkdir(`${path}.next`, { mode: 0o710 });
  await writeFile(join(`${path}.next`, 'next'), 'left');
  const second = await openEventsFile(path, due);
  t.is(second.nextSequence, 2);
  t.deepEqual(await readdir(`${path}.next`), []);
  await second.close();
  t.deepEqual((await readdir(join(folder, 'left'))).sort(), ['a.jsonl', 'a.jsonl.000000000001']);
});

test('EventsFile: a rotation puts the next file in place, and removes what is not to be kept', async (t) => {
  const path = join(folder, 'rotated', 'a.jsonl');
  const events = await openEventsFile(path, due);
  for (const sequence of [1, 2, 3, 4]) {
    await appendFile(path, line(sequence));
    events.makeNext(sequence);
    t.is((await stat(join(`${path}.next`, 'next'))).mode & 0o777, 0o620);
    events.putNext();
    t.is((await stat(path)).mode & 0o777, 0o600);
    t.is((await stat(path)).size, 0);
  }
  await events.close();
  const names = (await readdir(join(folder, 'rotated'))).sort();
  t.deepEqual(names, ['a.jsonl', 'a.jsonl.000000000003', 'a.jsonl.000000000004']);
});

test('EventsFile: a writer that lies gets no rotation, and the log stays as it is', async (t) => {
  const path = join(folder, 'lies', 'a.jsonl');
  await mkdir(join(folder, 'lies'));
  await writeFile(path, line(5));
  const events = await openEventsFile(path, { maxBytes: 1000 });
  const refused = (body: () => void, message: RegExp): void => {
    t.throws(body, { code: 'EVENTS_UNWRITABLE', message });
  };
  refused(() => events.putNext(), /has no next file/);
  refused(() => events.makeNext(5), /it is not due/);
  await appendFile(path, line(6).repeat(10));
  for (const first of [1, 4, 6, 2 ** 53 - 1]) refused(() => events.makeNext(first), /which it cannot/);
  await writeFile(`${path}.000000000005`, 'somebody else');
  events.makeNext(5);
  refused(() => events.putNext(), /EEXIST/);
  t.is(await readFile(`${path}.000000000005`, 'utf8'), 'somebody else');
  refused(() => events.putNext(), /has no next file/);
  t.is((await stat(path)).size, line(6).length * 11);
  await rm(`${path}.000000000005`);
  events.makeNext(5);
  events.putNext();
  await appendFile(path, line(17).repeat(10));
  refused(() => events.makeNext(5), /which it cannot/);
  await events.close();
  t.deepEqual((await readdir(join(folder, 'lies'))).sort(), ['a.jsonl', 'a.jsonl.000000000005']);
});
