import { mkdir, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { dir } from 'tmp-promise';
import { type RunResult, run, start } from '../../base/index.ts';
import { packageRoot } from '../package-info.ts';

const program = join(packageRoot, 'bin', 'tapwarden.js');
const anyStatus = [0, 1, 125];

const eventOf = (sandbox: string, message: string): object => ({
  time: 1_700_000_000_000,
  class_uid: 6002,
  class_name: 'Application Lifecycle',
  activity_name: 'Start',
  severity_id: 1,
  severity: 'Informational',
  status: 'Success',
  message,
  device: { uid: sandbox },
});

async function folder(t: ExecutionContext): Promise<string> {
  const { path, cleanup } = await dir({ prefix: 'tapwarden-events-', unsafeCleanup: true });
  t.teardown(cleanup);
  return path;
}

const events = (stateDir: string, ...args: readonly string[]): Promise<RunResult> =>
  run([process.execPath, program, 'events', ...args], {
    okStatuses: anyStatus,
    env: { TAPWARDEN_STATE_DIR: stateDir, NO_COLOR: '' },
  });

test('tapwarden events: prints the newest log of the state directory, without colours into a pipe', async (t) => {
  const stateDir = await folder(t);
  await mkdir(join(stateDir, 'events'));
  for (const [name, second] of [
    ['old', 1000],
    ['new', 2000],
    ['older', 500],
  ] as const) {
    const path = join(stateDir, 'events', `${name}.jsonl`);
    await writeFile(path, `${JSON.stringify(eventOf(name, 'hello'))}\n`);
    await utimes(path, second, second);
  }
  await writeFile(join(stateDir, 'events', 'newest.jsonl.torn-1'), 'torn');
  const { status, stdout, stderr } = await events(stateDir);
  t.is(stdout, '2023-11-14T22:13:20.000Z sandbox/start INFORMATIONAL success new hello\n');
  t.is(stderr, '');
  t.is(status, 0);
});

test('tapwarden events: --sandbox selects, and a broken line is shown, counted, and makes the status 1', async (t) => {
  const file = join(await folder(t), 'log.jsonl');
  const lines = [
    JSON.stringify(eventOf('a', 'one')),
    'garbage \u001b[2J',
    JSON.stringify(eventOf('b', 'two')),
    JSON.stringify({ device: null }),
  ];
  await writeFile(file, lines.map((line) => `${line}\n`).join(''));
  const { status, stdout, stderr } = await events('/nonexistent', '--file', file, '--sandbox', 'a');
  t.regex(stdout, /^\S+ sandbox\/start INFORMATIONAL success a one\nline 2 is no event: .*"garbage \\x1b\[2J"\n$/);
  t.is(stderr, `tapwarden: 1 of 4 lines in ${file} are no events\n`);
  t.is(status, 1);
});

test('tapwarden events: --json prints the same JSON, with nothing in it that a terminal obeys', async (t) => {
  const file = join(await folder(t), 'log.jsonl');
  const hostile = eventOf('a', 'x\u009b2J \u202eevil \u{e0041}\u001b[0m');
  await writeFile(file, `${JSON.stringify(hostile)}\r\nbroken\n`);
  const { status, stdout, stderr } = await events('/nonexistent', '--file', file, '--json');
  t.deepEqual(JSON.parse(stdout), hostile);
  t.regex(stdout, /^[\x20-\x7e]*\n$/);
  t.regex(stderr, /^line 2 is no event/);
  t.is(status, 1);
});

test('tapwarden events: ends without a complaint when its reader has seen enough', async (t) => {
  const file = join(await folder(t), 'log.jsonl');
  const line = `${JSON.stringify(eventOf('a', 'x'.repeat(200)))}\n`;
  await writeFile(file, line.repeat(20_000));
  const child = start([process.execPath, program, 'events', '--file', file], { stdio: ['ignore', 'pipe', 'pipe'] });
  let complaint = '';
  child.process.stderr?.on('data', (piece: Buffer) => {
    complaint += piece.toString();
  });
  child.process.stdout?.once('data', () => child.process.stdout?.destroy());
  const { status } = await child.ended;
  t.is(complaint, '');
  t.is(status, 0);
});

test('tapwarden events: a log that is not there is one clear error', async (t) => {
  const stateDir = await folder(t);
  const none = await events(stateDir);
  t.is(none.status, 125);
  t.regex(none.stderr, /^tapwarden: FILE_UNREADABLE: There is no event log in .*\n {2}.*--file/);
  const named = await events(stateDir, '--file', join(stateDir, 'x.jsonl'));
  t.is(named.status, 125);
  t.regex(named.stderr, /^tapwarden: FILE_UNREADABLE: Cannot read the event log .*x\.jsonl: ENOENT/);
  const bad = await events(stateDir, '--sandbox', 'A B');
  t.regex(bad.stderr, /^tapwarden: NAME_INVALID/);
});
