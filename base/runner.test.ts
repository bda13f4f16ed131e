import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { withDir } from 'tmp-promise';
import { TapwardenError } from './errors.ts';
import { run, start, systemPath } from './runner.ts';

const shell = (script: string) => ['sh', '-c', script] as const;

test('run() returns the status and both outputs unchanged', async (t) => {
  t.deepEqual(await run(shell('printf "a\\n\\nb"; printf "c\\n" >&2')), { status: 0, stdout: 'a\n\nb', stderr: 'c\n' });
});

test('run() takes statuses that are answers for success, and only these', async (t) => {
  t.is((await run(shell('exit 3'), { okStatuses: [0, 3] })).status, 3);
  await t.throwsAsync(run(shell('exit 4'), { okStatuses: [0, 3] }), { code: 'COMMAND_FAILED' });
  await t.throwsAsync(run(['true'], { okStatuses: [1] }), { code: 'COMMAND_FAILED' });
});

test('run() fails with COMMAND_FAILED and says status, error output and program', async (t) => {
  const argv = shell('echo out; printf "bad \\033[31m thing\\n" >&2; exit 7');
  const error = await t.throwsAsync<TapwardenError>(run(argv), { instanceOf: TapwardenError, code: 'COMMAND_FAILED' });
  t.deepEqual(error?.details, { argv, status: 7, signal: null, stderr: 'bad \x1b[31m thing\n' });
  t.regex(error?.message ?? '', /^'sh -c .* ended with status 7: bad \\x1b\[31m thing$/);
});

test('run() names the signal that ended the program', async (t) => {
  const error = await t.throwsAsync<TapwardenError>(run(shell('kill -TERM $$')), { code: 'COMMAND_FAILED' });
  t.is(error?.details['signal'], 'SIGTERM');
  t.regex(error?.message ?? '', /ended with SIGTERM: it printed no reason$/);
});

test('run() fails with PROGRAM_MISSING for a program that is not there, with onLine too', async (t) => {
  const error = await t.throwsAsync(run(['tapwarden-no-such-program', '\x1b[2J']), { code: 'PROGRAM_MISSING' });
  t.regex(error?.message ?? '', /^Cannot run 'tapwarden-no-such-program \\x1b\[2J'/);
  await t.throwsAsync(run(['tapwarden-no-such-program'], { onLine: () => undefined }), { code: 'PROGRAM_MISSING' });
});

test('run() fails with COMMAND_FAILED and the errno for a file that cannot be executed', async (t) => {
  await withDir(
    async ({ path }) => {
      const file = join(path, 'plain');
      await writeFile(file, 'x');
      await chmod(file, 0o644);
      await t.throwsAsync(run([file]), { code: 'COMMAND_FAILED', message: /could not be started \(EACCES\)/ });
    },
    { unsafeCleanup: true },
  );
});

test('run() ends a program that takes longer than timeoutMs, by COMMAND_TIMEOUT', async (t) => {
  const begun = Date.now();
  await t.throwsAsync(run(['sleep', '20'], { timeoutMs: 100 }), { code: 'COMMAND_TIMEOUT', message: /within 100 ms/ });
  t.true(Date.now() - begun < 5000);
});

test('run() keeps its time limit where a grandchild holds the output open', async (t) => {
  const begun = Date.now();
  const lines: string[] = [];
  const late = run(shell('sleep 30 & echo $!; sleep 30'), { timeoutMs: 1500, onLine: (line) => lines.push(line) });
  await t.throwsAsync(late, { code: 'COMMAND_TIMEOUT' });
  t.true(Date.now() - begun < 4000);
  process.kill(Number(lines[0]), 'SIGKILL');
});

test('run() ends the program when its signal fires', async (t) => {
  const abort = new AbortController();
  setTimeout(() => abort.abort(), 50);
  const begun = Date.now();
  await t.throwsAsync(run(['sleep', '20'], { signal: abort.signal }), {
    code: 'COMMAND_FAILED',
    message: /was cancelled/,
  });
  t.true(Date.now() - begun < 5000);
});

test('run() gives the program empty standard input, or the input', async (t) => {
  t.is((await run(['cat'])).stdout, '');
  t.is((await run(['cat'], { input: 'ä\0\n' })).stdout, 'ä\0\n');
  t.is((await run(['wc', '-c'], { input: new Uint8Array(300_000) })).stdout.trim(), '300000');
});

test('run() does not fail when the program does not read its input', async (t) => {
  t.is((await run(['true'], { input: 'x'.repeat(5_000_000) })).status, 0);
});

test('run() sets LC_ALL to C over everything, and adds env to that of this process', async (t) => {
  const { stdout } = await run(shell('echo "$LC_ALL|$OWN|$PATH"'), { env: { LC_ALL: 'de_DE.UTF-8', OWN: 'x' } });
  t.is(stdout, `C|x|${systemPath}\n`);
});

test('run() and start() search programs in the directories of the system, whatever stands first in $PATH', async (t) => {
  await withDir(
    async ({ path }) => {
      await writeFile(join(path, 'true'), '#!/bin/sh\nexit 7\n');
      await chmod(join(path, 'true'), 0o755);
      // A process of its own, because threads share what the system sees of the environment.
      const script = `
        import { run, start } from ${JSON.stringify(new URL('./runner.js', import.meta.url).href)};
        process.env.PATH = ${JSON.stringify(path)} + ':' + process.env.PATH;
        const started = await start(['true']).ended;
        const through = await run(['sh', '-c', 'true; echo $?']);
        const asked = await run(['true'], { env: { PATH: ${JSON.stringify(path)} }, okStatuses: [7] });
        console.log((await run(['true'])).status, started.status, through.stdout.trim(), asked.status);
      `;
      const { stdout } = await run([process.execPath, '--input-type=module', '-e', script]);
      t.is(stdout, '0 0 0 7\n');
    },
    { unsafeCleanup: true },
  );
});

test('run() passes every argument as it is: no shell reads it', async (t) => {
  const hostile = ['$(id)', '`id`', '; rm -rf /', 'a\'b"c', '*', '-n', '', 'a\nb', '\u202e', '%s', '~'];
  const { stdout } = await run(['printf', '[%s]', ...hostile]);
  t.is(stdout, hostile.map((word) => `[${word}]`).join(''));
});

test('run() passes each line on before it is done, of both outputs, without gluing them', async (t) => {
  const lines: string[] = [];
  const script = 'printf "one\\ntwo"; printf "err1\\nerr2" >&2';
  const { stdout } = await run(shell(script), { onLine: (line) => lines.push(line) });
  t.deepEqual(lines.toSorted(), ['err1', 'err2', 'one', 'two']);
  t.is(stdout, 'one\ntwo');
  const many: string[] = [];
  await run(['seq', '50000'], { onLine: (line) => many.push(line) });
  t.is(many.length, 50_000);
  t.is(many.at(-1), '50000');
});

// So many bytes keep this thread busy, which would upset the time limits of the others.
test.serial('run() refuses output of more than 16 MiB, whatever bytes it is, and lives', async (t) => {
  t.timeout(60_000);
  await t.throwsAsync(run(shell('exec head -c 17000000 /dev/zero')), {
    code: 'COMMAND_FAILED',
    message: /printed more than 16777216 bytes/,
  });
});

test('start() tells how a program ended: status, signal, or why it did not start', async (t) => {
  t.deepEqual(await start(shell('exit 5')).ended, { status: 5, signal: null });
  const child = start(['sleep', '20']);
  child.process.kill('SIGKILL');
  t.deepEqual(await child.ended, { status: null, signal: 'SIGKILL' });
  const { status, error } = await start(['tapwarden-no-such-program']).ended;
  t.is(status, null);
  t.is(error?.code, 'ENOENT');
});

test('start() gives the program the whole environment that it is given, and no more', async (t) => {
  const child = start(['/usr/bin/env'], { env: { ONLY: '1' }, stdio: ['ignore', 'pipe', 'ignore'] });
  let text = '';
  child.process.stdout?.on('data', (piece: Buffer) => {
    text += piece.toString();
  });
  await new Promise((resolve) => child.process.once('close', resolve));
  t.is(text, 'ONLY=1\n');
});
