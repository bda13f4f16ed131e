import { appendFile, mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import test, { type ExecutionContext } from 'ava';
import { dir } from 'tmp-promise';
import { type Child, type Ended, type RunResult, run, start } from '../../base/index.ts';
import { assertArrived, eventLines } from '../../e2e/support/ship-through.ts';
import { packageRoot } from '../package-info.ts';

const program = join(packageRoot, 'bin', 'tapwarden.js');

async function folder(t: ExecutionContext): Promise<string> {
  const { path, cleanup } = await dir({ prefix: 'tapwarden-ship-', unsafeCleanup: true });
  t.teardown(cleanup);
  return path;
}

async function logOf(path: string, lines: readonly string[]): Promise<string> {
  await writeFile(path, lines.map((line) => `${line}\n`).join(''));
  return path;
}

/** An HTTP receiver on loopback that waits `delayMs` before each answer, and the lines that came to it. */
async function receiver(
  t: ExecutionContext,
  answer: { status: number; delayMs: number } = { status: 200, delayMs: 0 },
): Promise<{ readonly url: string; readonly lines: readonly string[] }> {
  const lines: string[] = [];
  const server = createServer((request, response) => {
    const pieces: Buffer[] = [];
    request.on('data', (piece: Buffer) => pieces.push(piece));
    request.on('end', () => {
      if (answer.status === 200)
        lines.push(...gunzipSync(Buffer.concat(pieces)).toString('utf8').trimEnd().split('\n'));
      setTimeout(() => response.writeHead(answer.status).end(), answer.delayMs);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.close();
    server.closeAllConnections();
  });
  const address = server.address();
  return { url: `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}/in`, lines };
}

const ship = (stateDir: string, ...args: readonly string[]): Promise<RunResult> =>
  run([process.execPath, program, 'ship', ...args], {
    okStatuses: [0, 1, 125],
    env: { TAPWARDEN_STATE_DIR: stateDir },
  });

/** The command while it runs, and what it says on standard error. It is killed when the test ends. */
function begin(t: ExecutionContext, stateDir: string, ...args: readonly string[]): Child & { said: () => string } {
  const env = { PATH: process.env['PATH'] ?? '', TAPWARDEN_STATE_DIR: stateDir };
  const child = start([process.execPath, program, 'ship', ...args], { stdio: ['ignore', 'pipe', 'pipe'], env });
  t.teardown(async () => {
    child.process.kill('SIGKILL');
    await child.ended;
  });
  let text = '';
  child.process.stderr?.on('data', (piece: Buffer) => {
    text += piece.toString();
  });
  return { ...child, said: () => text };
}

async function until(t: ExecutionContext, holds: () => boolean, what: string): Promise<void> {
  for (const deadline = Date.now() + 20_000; !holds(); await sleep(5)) {
    if (Date.now() > deadline) return t.fail(`it did not come true: ${what}`);
  }
}

test('tapwarden ship: --once sends what is there, and the next time what has come since', async (t) => {
  const stateDir = await folder(t);
  await mkdir(join(stateDir, 'events'));
  const lines = eventLines(1200);
  const file = await logOf(join(stateDir, 'events', 'run.jsonl'), lines.slice(0, 1100));
  const { url, lines: received } = await receiver(t);
  const first = await ship(stateDir, '--to', url, '--once', '--json');
  t.deepEqual(JSON.parse(first.stdout), {
    ...{ kind: 'status', state: 'ended', read: 1100, sent: 1100, retried: 0, dropped: 0, broken: 0 },
    ...{ queued: 0, queuedBytes: 0 },
  });
  t.is(first.stderr, '');
  t.is(first.status, 0);
  await appendFile(
    file,
    lines
      .slice(1100)
      .map((line) => `${line}\n`)
      .join(''),
  );
  const second = await ship(stateDir, '--to', url, '--once');
  t.is(second.stdout, '');
  t.is(
    second.stderr,
    'tapwarden: ended: 100 lines read, 100 events sent, 0 retried, 0 refused, 0 broken, 0 on their way\n',
  );
  t.deepEqual(received, lines);
  t.is((await readdir(join(stateDir, 'cursors'))).length, 1);
  const elsewhere = await receiver(t);
  await ship(stateDir, '--to', elsewhere.url, '--once');
  t.is(elsewhere.lines.length, lines.length, 'another receiver has a cursor of its own');
});

test('tapwarden ship: killed in the midst and started again, it goes on, and no event is missing', async (t) => {
  const state = await folder(t);
  const lines = eventLines(10_000);
  const file = await logOf(join(state, 'log.jsonl'), lines);
  const { url, lines: received } = await receiver(t, { status: 200, delayMs: 150 });
  const args = ['--to', url, '--file', file, '--cursor', join(state, 'cursor'), '--once'];
  const killed = begin(t, state, ...args);
  await until(t, () => received.length >= 7000, 'most have arrived');
  killed.process.kill('SIGKILL');
  t.is((await killed.ended).signal, 'SIGKILL');
  t.true(received.length < lines.length, 'it was killed in the midst');
  const { status, stderr } = await ship(state, ...args, '--json');
  t.is(status, 0, stderr);
  assertArrived(t, lines, received);
  t.true(received.length < 2 * lines.length - 1000, 'it did not begin anew');
});

test('tapwarden ship: follows a log over its rotation, tells how far it is, and SIGTERM ends it', async (t) => {
  const state = await folder(t);
  const lines = eventLines(30);
  const file = await logOf(join(state, 'log.jsonl'), lines.slice(0, 10));
  const { url, lines: received } = await receiver(t);
  const child = begin(t, state, '--to', url, '--file', file);
  await until(t, () => received.length === 10, 'the first have arrived');
  await appendFile(file, `${lines[10]}\n`);
  await until(t, () => received.length === 11, 'one more has arrived');
  await rename(file, join(state, 'log.1.jsonl'));
  await logOf(file, lines.slice(11));
  await until(t, () => received.length === 30, 'those of the new file have arrived');
  // The receiver has them before the command has its answer.
  const asking = setInterval(() => child.process.kill('SIGUSR2'), 50);
  await until(t, () => /(?:idle|sending): 30 lines read, 30 events sent/.test(child.said()), 'it tells its status');
  clearInterval(asking);
  child.process.kill('SIGTERM');
  t.deepEqual(await child.ended, { status: 0, signal: null } satisfies Ended);
  t.regex(child.said(), /tapwarden: ended: 30 lines read, 30 events sent/);
  t.deepEqual(received, lines);
});

test('tapwarden ship: a receiver that is away is told, SIGTERM ends the waiting, and nothing counts as sent', async (t) => {
  const state = await folder(t);
  const file = await logOf(join(state, 'log.jsonl'), eventLines(3));
  const { url } = await receiver(t, { status: 503, delayMs: 0 });
  const child = begin(t, state, '--to', url, '--file', file, '--json');
  await until(t, () => child.said().includes('"retry"'), 'it tells of the failure');
  const began = performance.now();
  child.process.kill('SIGTERM');
  await sleep(20);
  child.process.kill('SIGINT');
  t.deepEqual(await child.ended, { status: 0, signal: null } satisfies Ended);
  t.true(performance.now() - began < 4000, 'the second signal does not wait for the 5 seconds');
  const report = JSON.parse(child.said().split('\n')[0] ?? '') as Readonly<Record<string, unknown>>;
  t.is(report['kind'], 'retry');
  t.regex(String(report['problem']), /answered 503/);
  t.deepEqual(await readdir(join(state, 'cursors')), []);
  const given = await ship(state, '--to', url, '--file', file, '--once', '--give-up', '1');
  t.is(given.status, 125);
  t.regex(given.stderr, /tapwarden: SINK_UNAVAILABLE: Given up after 1 s/);
});

test('tapwarden ship: to standard output go the events alone, and a line that is none makes the status 1', async (t) => {
  const state = await folder(t);
  const lines = eventLines(3);
  const file = await logOf(join(state, 'log.jsonl'), [lines[0] ?? '', 'garbage\u001b[2J', ...lines.slice(1)]);
  const { status, stdout, stderr } = await ship(state, '--to', '-', '--file', file, '--once', '--json');
  t.is(stdout, lines.map((line) => `${line}\n`).join(''));
  const [broken, end] = stderr
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>);
  t.deepEqual([broken?.['kind'], broken?.['line']], ['broken', 2]);
  t.deepEqual([end?.['sent'], end?.['broken']], [3, 1]);
  t.is(status, 1);
  t.deepEqual(await readdir(state), ['log.jsonl'], 'no cursor');
  const plain = await ship(state, '--to', 'stdout:', '--file', file, '--once');
  t.regex(plain.stderr, /^tapwarden: line 2 is no event: .*garbage\\x1b\[2J/);
});

test('tapwarden ship: ends without a complaint when the reader of its output has seen enough', async (t) => {
  const state = await folder(t);
  const file = await logOf(join(state, 'log.jsonl'), eventLines(20_000));
  const child = begin(t, state, '--to', '-', '--file', file);
  let left = 0;
  child.process.stdout?.once('data', () => {
    child.process.stdout?.destroy();
    left = performance.now();
  });
  t.is((await child.ended).status, 0);
  t.true(performance.now() - left < 4000, 'at once');
  t.regex(child.said(), /^tapwarden: ended: .*\n$/);
});

test('tapwarden ship: a wrong command line is one clear error, and a password is not repeated', async (t) => {
  const state = await folder(t);
  const file = await logOf(join(state, 'log.jsonl'), eventLines(1));
  for (const [args, message] of [
    [[], /^tapwarden: USAGE_INVALID: --to is missing/],
    [['--to', 'ftp://a'], /^tapwarden: SINK_INVALID: 'ftp:\/\/a' is no receiver's address\n {2}Forms: /],
    [['--to', 'https://u:hidden@a'], /^tapwarden: SINK_INVALID: An address of a receiver cannot hold a user or a pass/],
    [['--to', 'https://a', '--format', 'xml'], /^tapwarden: USAGE_INVALID: --format takes jsonl or bundle/],
    [['--to', 'https://a', '--give-up', '0'], /^tapwarden: USAGE_INVALID: --give-up takes/],
    [['--to', 'nats://a', '--no-gzip'], /^tapwarden: SINK_INVALID: .* no use for the setting 'gzip'/],
    [['--to', 'https://a', '--cursor', file], /^tapwarden: CURSOR_INVALID: /],
    [['--to', '-', '--file', '/nonexistent', '--once'], /tapwarden: FILE_UNREADABLE: Cannot read the event log/],
  ] as const) {
    const named = args.includes('--file' as never) ? args : [...args, '--file', file];
    const { status, stdout, stderr } = await ship(state, ...named);
    t.is(status, 125, args.join(' '));
    t.regex(stderr, message);
    t.notRegex(stderr, /hidden/);
    t.is(stdout, '');
  }
});

test('tapwarden ship: the client of NATS is loaded by nobody else', async (t) => {
  for (const file of ['build/cli/main.cjs', 'build/ocsf/index.js', 'build/ocsf/sinks/nats-transport.js']) {
    const text = await readFile(join(packageRoot, file), 'utf8');
    t.notRegex(text, /^\s*(?:import\b[^(]*|export\b.*)['"]@nats-io/m, file);
  }
});
