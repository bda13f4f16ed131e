import { readFileSync } from 'node:fs';
import { readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { dir } from 'tmp-promise';
import { type RunResult, run } from '../../base/index.ts';
import { packageRoot } from '../package-info.ts';

const program = join(packageRoot, 'bin', 'tapwarden.js');

/** Events of each builder, as a log has them. */
const valid = (await readdir('ocsf/testdata'))
  .filter((name) => name.endsWith('.ocsf.json'))
  .map((name) => JSON.parse(readFileSync(join('ocsf', 'testdata', name), 'utf8')))
  .map((event, index) => ({
    ...event,
    metadata: { ...event.metadata, uid: `u${index}`, sequence: index + 1, logged_time: event.time },
  }));
const packet = valid.find(({ class_uid, dst_endpoint }) => class_uid === 4001 && dst_endpoint?.port !== undefined);

const toLines = (events: readonly unknown[]): string => events.map((event) => `${JSON.stringify(event)}\n`).join('');

const validate = (args: readonly string[], input = ''): Promise<RunResult> =>
  run([process.execPath, program, 'ocsf', ...args], { okStatuses: [0, 1, 125], input });

async function fileOf(t: ExecutionContext, text: string): Promise<string> {
  const { path, cleanup } = await dir({ prefix: 'tapwarden-ocsf-', unsafeCleanup: true });
  t.teardown(cleanup);
  const file = join(path, 'events.jsonl');
  await writeFile(file, text);
  return file;
}

test('tapwarden ocsf validate: valid events of every builder, from a file and from standard input', async (t) => {
  const file = await fileOf(t, toLines(valid));
  // A last line need not have its newline, and empty lines are none.
  const { status, stdout, stderr } = await validate(['validate', file, '-'], `\n${JSON.stringify(packet)}`);
  t.is(
    stdout,
    `${file}: ${valid.length} events: ${valid.length} valid, 0 invalid\nstandard input: 1 event: 1 valid, 0 invalid\n`,
  );
  t.is(stderr, '');
  t.is(status, 0);
});

test('tapwarden ocsf validate: what is wrong is said with its line, path and rule, and escaped', async (t) => {
  const bad = {
    ...packet,
    dst_endpoint: { ip: 'not\u001b[2J\u202e', port: 70_000 },
    severity_id: undefined,
  };
  const { status, stdout } = await validate(['validate', await fileOf(t, `${toLines([packet, bad])}[1]\n{}\n`)]);
  const lines = stdout.split('\n').map((line) => line.replace(/^.*events\.jsonl/, 'F'));
  const found = lines.map((line) => /^F:(\d+): (?:([\w.]+): )?.* \((\w+)\)$/.exec(line)?.slice(1).join(' '));
  for (const want of [
    '2 dst_endpoint.ip form',
    '2 dst_endpoint.port range',
    '2 severity_id required',
    '4 class_uid class',
  ]) {
    t.true(found.includes(want), `${want} in ${stdout}`);
  }
  t.true(lines.includes('F:3: it is no JSON object: "[1]" (json)'), stdout);
  t.regex(lines.at(-2) ?? '', /^F: 4 events: 1 valid, 3 invalid \(\d+ errors\)$/);
  t.notRegex(stdout.replaceAll('\n', ''), /[\p{Cc}\p{Cf}]/u);
  t.is(status, 1);
});

test('tapwarden ocsf validate: classes that are not ours are counted, said, and no reason to fail', async (t) => {
  const foreign = [3002, 4007, 3002].map((classUid) => ({ class_uid: classUid, metadata: { version: '1.1.0' } }));
  const file = await fileOf(t, toLines([packet, ...foreign]));
  const { status, stdout } = await validate(['validate', file]);
  t.is(
    stdout,
    `${file}: 4 events: 1 valid, 0 invalid, 3 of classes that are not known and were not validated (3002, 4007)\n`,
  );
  t.is(status, 0);
});

test('tapwarden ocsf validate: --version holds all events against one version', async (t) => {
  const old = { ...packet, metadata: { ...packet.metadata, version: '1.1.0' } };
  const file = await fileOf(t, toLines([old]));
  const own = await validate(['validate', file]);
  t.regex(own.stdout, /:1: metadata\.version: must be one of 1\.7\.0, .*1\.1\.0 \(version\)\n/);
  t.is(own.status, 1);
  t.is((await validate(['validate', '--version', '1.8.0', file])).status, 0);
});

test('tapwarden ocsf validate: --json is one object, and --max-errors bounds what is shown and not what is counted', async (t) => {
  const bad = Array.from({ length: 30 }, () => ({ ...packet, time: 'x\u202e' }));
  const file = await fileOf(t, toLines([...bad, { class_uid: 3002 }]));
  const { status, stdout } = await validate(['validate', '--json', '--max-errors', '2', file, '-'], 'garbage\n');
  t.false(stdout.includes('\u202e'));
  const result = JSON.parse(stdout);
  const counts = { events: 31, valid: 0, invalid: 30, unknown: 1, errors: 30 };
  t.deepEqual(result.files, [
    { file, ...counts, unknown_classes: [{ class_uid: 3002, count: 1 }] },
    { file: '-', events: 1, valid: 0, invalid: 1, unknown: 0, errors: 1, unknown_classes: [] },
  ]);
  t.is(result.errors.length, 2);
  t.like(result.errors[1], { file, line: 2, path: 'time', rule: 'type', value: 'x\u202e' });
  t.is(result.errors_not_shown, 29);
  t.is(status, 1);
  const text = await validate(['validate', file]);
  t.is(text.stdout.match(/:\d+: time: /g)?.length, 20);
  t.regex(text.stdout, /\n10 more errors not shown; --max-errors shows more\n$/);
});

test('tapwarden ocsf validate: a file that cannot be read is one clear error, and no verdict', async (t) => {
  const file = await fileOf(t, '');
  await rm(file);
  const { status, stdout, stderr } = await validate(['validate', file]);
  t.regex(stderr, /^tapwarden: FILE_UNREADABLE: Cannot read .*events\.jsonl: ENOENT/);
  t.is(stdout, '');
  t.is(status, 125);
  t.is((await validate(['validate', join(file, '..')])).status, 125);
});

const refused = test.macro<[readonly string[], RegExp]>({
  async exec(t, args, message) {
    const { status, stderr } = await validate(args);
    t.regex(stderr, message);
    t.regex(stderr, /tapwarden help ocsf/);
    t.is(status, 125);
  },
  title: (_, args = []) => `tapwarden ocsf ${args.join(' ')}: USAGE_INVALID`,
});

test(refused, [], /^tapwarden: USAGE_INVALID: What to do is missing/);
test(refused, ['check', 'x'], /^tapwarden: USAGE_INVALID: 'check' is nothing that can be done/);
test(refused, ['validate'], /^tapwarden: USAGE_INVALID: A FILE is missing/);
test(refused, ['validate', '-', '-'], /^tapwarden: USAGE_INVALID: - can be read once only/);
test(refused, ['validate', '--version', '1.1.0', 'x'], /^tapwarden: USAGE_INVALID: --version takes one of 1\.7\.0, /);
test(refused, ['validate', '--max-errors', 'x', 'x'], /^tapwarden: USAGE_INVALID: --max-errors takes a whole number/);
test(refused, ['validate', '--fast', 'x'], /^tapwarden: USAGE_INVALID: Unknown option '--fast'/);

test('tapwarden ocsf: its help comes by every way', async (t) => {
  const help = await run([process.execPath, program, 'help', 'ocsf']);
  t.regex(help.stdout, /^Usage: tapwarden ocsf validate /);
  t.is((await validate(['validate', '--help'])).stdout, help.stdout);
  t.is((await validate(['-h'])).stdout, help.stdout);
});
