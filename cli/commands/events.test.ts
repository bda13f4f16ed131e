import { appendFile, mkdir, rename, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { dir } from 'tmp-promise';
import { type RunResult, run, start } from '../../base/index.ts';
import { samples } from '../../e2e/support/sample-events.ts';
import { until } from '../../e2e/support/until.ts';
import { packageRoot } from '../package-info.ts';
import { eventsCommand } from './events.ts';

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

test('tapwarden events: --format json is --json', async (t) => {
  const file = join(await folder(t), 'log.jsonl');
  await writeFile(file, `${JSON.stringify(eventOf('a', 'one'))}\n`);
  const [long, short] = await Promise.all([
    events('/nonexistent', '--file', file, '--format', 'json'),
    events('/nonexistent', '--file', file, '--json'),
  ]);
  t.is(long.stdout, `${JSON.stringify(eventOf('a', 'one'))}\n`);
  t.deepEqual(short, long);
});

test('tapwarden events: reads the files that a log was rotated to before it, and names them in complaints', async (t) => {
  const file = join(await folder(t), 'log.jsonl');
  const numbered = (sequence: number): string =>
    `${JSON.stringify({ ...eventOf('a', `event-${sequence}`), metadata: { sequence } })}\n`;
  await writeFile(`${file}.000000000001`, `${numbered(1)}broken\n`);
  await writeFile(`${file}.000000000002`, numbered(2));
  await writeFile(file, `${numbered(3)}broken\n`);
  const { status, stdout, stderr } = await events('/nonexistent', '--file', file);
  const words = stdout.split('\n').map((line) => line.replace(/^\S+ sandbox\/start INFORMATIONAL success a /, ''));
  t.deepEqual(words, [
    'event-1',
    `line 2 of ${file}.000000000001 is no event: it is no JSON: "broken"`,
    ...['event-2', 'event-3', 'line 2 is no event: it is no JSON: "broken"', ''],
  ]);
  t.is(stderr, `tapwarden: 2 of 5 lines in ${file} are no events\n`);
  t.is(status, 1);
});

test('tapwarden events: filters hold together, and a line that no filter wants is broken all the same', async (t) => {
  const file = join(await folder(t), 'log.jsonl');
  const high = { ...eventOf('a', 'high'), severity_id: 4, severity: 'High', time: Date.now() - 60_000 };
  const lines = [eventOf('a', 'one'), high, { ...high, time: 1 }, { ...high, message: 'other' }];
  // Two lines, of which the first lost its end: what begins like an event and ends like one is none.
  const torn = `${JSON.stringify(lines[0]).slice(0, 40)}${JSON.stringify(high)}`;
  await writeFile(file, [...lines.map((line) => JSON.stringify(line)), torn].map((line) => `${line}\n`).join(''));
  const filters = [
    '--class',
    'dns',
    '--class',
    'sandbox',
    '--severity',
    'high',
    '--since',
    '1h',
    '--where',
    'message=high',
  ];
  const { status, stdout } = await events('/nonexistent', '--file', file, ...filters);
  t.regex(stdout, /^\S+ sandbox\/start HIGH success a high\nline 5 is no event: .*\n$/);
  t.is(status, 1);
});

test('tapwarden events: --count-by counts what the filters leave', async (t) => {
  const file = join(await folder(t), 'log.jsonl');
  const lines = ['x', 'x\u202e', 'x', 'y'].map((message) =>
    JSON.stringify(eventOf(message === 'y' ? 'b' : 'a', message)),
  );
  await writeFile(file, [...lines, 'broken'].map((line) => `${line}\n`).join(''));
  const count = ['--file', file, '--sandbox', 'a', '--count-by', 'message'];
  const short = await events('/nonexistent', ...count);
  t.is(short.stdout, '2 x\n1 x\\u{202e}\n');
  t.regex(short.stderr, /^line 5 is no event.*\ntapwarden: 1 of 5 lines/);
  t.is(short.status, 1);
  const json = await events('/nonexistent', ...count, '--json');
  t.false(json.stdout.includes('\u202e'));
  t.deepEqual(JSON.parse(json.stdout), {
    ...{ path: 'message', events: 3, none: 0, other: 0 },
    counts: [
      { value: 'x', count: 2 },
      { value: 'x\u202e', count: 1 },
    ],
  });
});

test('tapwarden events: --summary tells of what the filters leave, and of the record as a whole', async (t) => {
  const file = join(await folder(t), 'log.jsonl');
  const of = (name: string, changes: object = {}): object => ({ ...samples[name], ...changes });
  const aggregate = { count: 1000, start_time: 1_790_000_000_000, end_time: 1_790_000_060_000 };
  const lines = [
    of('sandbox-started'),
    of('denied-tcp'),
    of('denied-tcp', aggregate),
    of('connect-denied'),
    of('denied-metadata'),
    of('sandbox-stopped'),
  ].map((event) => JSON.stringify(event));
  await writeFile(file, lines.map((line) => `${line}\n`).join(''));
  const all = await events(
    '/nonexistent',
    '--file',
    file,
    '--summary',
    '--class',
    'network',
    '--where',
    'dst_endpoint.port!=80',
  );
  t.regex(all.stdout, /^1001 packets refused; 0 requests refused, 0 failed, 0 allowed; /);
  t.regex(all.stdout, /\ncomplete: yes\n\ntcp 203\.0\.113\.10:4444: 1001 packets refused, by exec=exec-1 uid=1000\n/);
  t.regex(
    all.stdout,
    / {2}when {4}\S+Z to \S+Z\n {2}why {5}.*\n {2}change {2}.*\n {2}policy {2}- \{name: .*ports: \[4444\]\}\n$/,
  );
  t.is(all.stderr, '');
  t.is(all.status, 0);
  await appendFile(file, 'broken\n');
  const json = await events('/nonexistent', '--file', file, '--summary', '--json');
  const summary = JSON.parse(json.stdout) as { packetsRefused: number; destinations: readonly unknown[] };
  t.like(summary, { complete: 'no', packetsRefused: 1002, missing: ['1 line of the log is no event'] });
  t.is(summary.destinations.length, 3);
  t.regex(json.stderr, /^line 7 is no event: .*\ntapwarden: 1 of 7 lines/);
  t.is(json.status, 1);
});

test('tapwarden events: --summary of a log that is larger than its memory counts every packet', async (t) => {
  const file = join(await folder(t), 'log.jsonl');
  const tcp = samples['denied-tcp'] as { readonly raw_data?: string };
  let count = 0;
  for (let piece = 0; piece < 40; piece += 1) {
    let text = '';
    for (let line = 0; line < 500; line += 1) {
      count += 1;
      const ip = `11.${count >> 16}.${(count >> 8) & 255}.${count & 255}`;
      text += `${JSON.stringify({ ...tcp, dst_endpoint: { ip, port: 1 }, raw_data: 'x'.repeat(2000) })}\n`;
    }
    await appendFile(file, text);
  }
  const argv = [
    process.execPath,
    '--max-old-space-size=64',
    program,
    'events',
    '--file',
    file,
    '--summary',
    '--json',
  ] as const;
  const { stdout, status } = await run(argv, { okStatuses: anyStatus, timeoutMs: 55_000 });
  t.is(status, 0);
  const summary = JSON.parse(stdout) as { packetsRefused: number; otherDestinations: number };
  t.is(summary.packetsRefused, 20_000);
  t.is(summary.otherDestinations, 10_000);
});

test('tapwarden events: --format table has a head, and broken lines between its rows', async (t) => {
  const file = join(await folder(t), 'log.jsonl');
  await writeFile(file, `${JSON.stringify(eventOf('a', 'hello'))}\nbroken\n`);
  const { stdout } = await events('/nonexistent', '--file', file, '--format', 'table');
  const [head, row, broken] = stdout.split('\n');
  t.regex(head ?? '', /^TIME +EVENT +SEVERITY +VERDICT +WHO +WHAT +RULE +WHY$/);
  t.is(row?.indexOf('sandbox/start'), head?.indexOf('EVENT'));
  t.is(row?.indexOf('hello'), head?.indexOf('WHY'));
  t.regex(broken ?? '', /^line 2 is no event/);
});

test('tapwarden events: --follow goes on over rotation, with filters, until a signal', async (t) => {
  const file = join(await folder(t), 'log.jsonl');
  const line = (sequence: number): string =>
    `${JSON.stringify({ ...eventOf(sequence % 2 === 0 ? 'even' : 'odd', `n-${sequence}`), metadata: { sequence } })}\n`;
  await writeFile(file, line(1) + line(2));
  const argv = [process.execPath, program, 'events', '--file', file, '--follow', '--sandbox', 'even'] as const;
  const child = start(argv, { stdio: ['ignore', 'pipe', 'pipe'] });
  t.teardown(() => child.process.kill('SIGKILL'));
  const output = { out: '', err: '' };
  child.process.stdout?.on('data', (piece: Buffer) => {
    output.out += piece.toString();
  });
  child.process.stderr?.on('data', (piece: Buffer) => {
    output.err += piece.toString();
  });
  const seen = (): readonly (string | undefined)[] =>
    output.out
      .split('\n')
      .slice(0, -1)
      .map((text) => / even (.*)$/.exec(text)?.[1] ?? text);
  await until(() => seen().length === 1);
  // Half a line is no line yet.
  await appendFile(file, line(4).slice(0, 30));
  await appendFile(file, line(4).slice(30));
  await until(() => seen().length === 2);
  await rename(file, `${file}.000000000001`);
  await writeFile(file, `${line(5)}broken\n${line(6)}`);
  await until(() => seen().length === 4);
  await rename(file, `${file}.000000000005`);
  await writeFile(file, line(7));
  await appendFile(file, line(8));
  await until(() => seen().length === 5);
  t.is(child.process.exitCode, null);
  child.process.kill('SIGINT');
  const { status } = await child.ended;
  // The end of a process may be seen before the end of what it wrote.
  await until(() => output.err !== '');
  t.deepEqual(seen(), ['n-2', 'n-4', 'line 2 is no event: it is no JSON: "broken"', 'n-6', 'n-8']);
  t.is(output.err, `tapwarden: 1 of 8 lines in ${file} are no events\n`);
  t.is(status, 1);
});

const refused = test.macro<[readonly string[], RegExp]>({
  async exec(t, args, message) {
    const { status, stderr } = await events('/nonexistent', '--file', '/nonexistent/log.jsonl', ...args);
    t.regex(stderr, message);
    t.regex(stderr, /tapwarden help events/);
    t.is(status, 125);
  },
  title: (_, args = []) => `tapwarden events: ${args.join(' ')} is USAGE_INVALID`,
});

test(refused, ['--format', 'xml'], /^tapwarden: USAGE_INVALID: --format takes one of short, json, table, not 'xml'/);
test(refused, ['--json', '--format', 'table'], /^tapwarden: USAGE_INVALID: --json and --format table are two formats/);
test(refused, ['--count-by', 'a', '--follow'], /^tapwarden: USAGE_INVALID: --count-by needs the end of the log/);
test(refused, ['--summary', '--follow'], /^tapwarden: USAGE_INVALID: --summary needs the end of the log/);
test(refused, ['--summary', '--count-by', 'a'], /^tapwarden: USAGE_INVALID: --summary and --count-by are two sums/);
test(refused, ['--summary', '--format', 'table'], /^tapwarden: USAGE_INVALID: --summary has no table/);
test(refused, ['--count-by', 'a..b'], /^tapwarden: USAGE_INVALID: --count-by takes a path/);
test(refused, ['--since', 'x'], /^tapwarden: USAGE_INVALID: --since takes a time/);
test(refused, ['--severity', 'x'], /^tapwarden: USAGE_INVALID: --severity takes one of/);
test(refused, ['--class', 'x'], /^tapwarden: USAGE_INVALID: --class takes/);
test(refused, ['--where', 'x'], /^tapwarden: USAGE_INVALID: --where takes/);
test(refused, ['surplus'], /^tapwarden: USAGE_INVALID: /);

test('tapwarden events: the help names every option, and its lines fit', (t) => {
  const options = [
    'file',
    'follow',
    'format',
    'json',
    'count-by',
    'summary',
    'since',
    'until',
    'class',
    'severity',
    'sandbox',
    'where',
  ];
  for (const option of options) t.true(eventsCommand.help.includes(`\n  --${option} `) || option === 'follow', option);
  t.true(eventsCommand.help.includes('\n  -f, --follow '));
  t.deepEqual(
    eventsCommand.help.split('\n').filter((line) => line.length > 120),
    [],
  );
});
