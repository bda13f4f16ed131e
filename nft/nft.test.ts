import { readFile, stat } from 'node:fs/promises';
import test from 'ava';
import { type Run, TapwardenError } from '../base/index.ts';
import type { Ruleset } from './model.ts';
import { applyRuleset, checkRuleset, listTable, readCounters, removeTable } from './nft.ts';
import { renderRuleset } from './render.ts';

const ruleset: Ruleset = {
  table: { family: 'inet', name: 'x' },
  counters: ['a'],
  sets: [],
  chains: [{ name: 'c', rules: [{ body: 'counter name a', comment: 'why' }] }],
};

/** What nft prints for it with --echo. */
const echo = 'add table inet x\nadd chain inet x c\nadd rule inet x c counter name "a" comment "why"\n';

const failing =
  (stderr: string): Run =>
  async (argv) => {
    throw new TapwardenError('COMMAND_FAILED', { message: 'failed', details: { argv, status: 1, stderr } });
  };

test('applyRuleset() gives nft the rendered text in a private file, behind the words that enter a namespace', async (t) => {
  let path = '';
  const run: Run = async (argv) => {
    path = argv.at(-1) ?? '';
    t.deepEqual(argv.slice(0, -1), ['ip', 'netns', 'exec', 'tw-a', 'nft', '--echo', '-f']);
    t.is(await readFile(path, 'utf8'), renderRuleset(ruleset));
    t.is((await stat(path)).mode & 0o777, 0o600);
    return { status: 0, stdout: echo, stderr: '' };
  };
  await applyRuleset({ run, enter: ['ip', 'netns', 'exec', 'tw-a'] }, ruleset);
  await t.throwsAsync(stat(path), { code: 'ENOENT' });
});

test('applyRuleset() fails with NFT_REJECTED when the kernel did not tell of every rule, though nft ended with 0', async (t) => {
  for (const stdout of ['', 'add table inet x\n', echo.replaceAll('inet x', 'inet y')]) {
    const run: Run = async () => ({ status: 0, stdout, stderr: '' });
    await t.throwsAsync(applyRuleset({ run }, ruleset), { code: 'NFT_REJECTED', message: /told of 0 of \d+ rules/ });
  }
});

test('applyRuleset() calls no nft for a model that is wrong', async (t) => {
  const run: Run = async () => await Promise.reject(new Error('called'));
  await t.throwsAsync(applyRuleset({ run }, { ...ruleset, counters: ['a', 'a'] }), { code: 'RULESET_INVALID' });
});

test('applyRuleset() fails with NFT_REJECTED, and shows the first error of nft escaped', async (t) => {
  const run = failing('/tmp/x.nft:3:1-2: Error: Could not \x1b[31m process rule\nsecond');
  const error = await t.throwsAsync<TapwardenError>(applyRuleset({ run }, ruleset), { code: 'NFT_REJECTED' });
  t.regex(error?.message ?? '', /table inet x: \/tmp\/x\.nft:3:1-2: Error: Could not \\x1b\[31m process rule\n/);
  t.is(error?.details['table'], 'inet x');
});

test('checkRuleset() loads nothing: it passes --check on', async (t) => {
  const seen: string[] = [];
  const run: Run = async (argv) => {
    seen.push(...argv);
    return { status: 0, stdout: '', stderr: '' };
  };
  await checkRuleset({ run }, ruleset);
  t.deepEqual(seen.slice(0, 3), ['nft', '--check', '-f']);
});

test('removeTable(), listTable() and readCounters() fail with NFT_NOT_FOUND where nft says so, and only there', async (t) => {
  const gone = failing('Error: No such file or directory\nlist table inet x\n');
  const goneToo = failing('Error: Could not process rule: No such file or directory\ndelete table inet x\n');
  const noNamespace = failing('Cannot open network namespace "tw-a": No such file or directory\n');
  for (const call of [removeTable, listTable, readCounters]) {
    await t.throwsAsync(call({ run: gone }, ruleset.table) as Promise<unknown>, { code: 'NFT_NOT_FOUND' });
    await t.throwsAsync(call({ run: goneToo }, ruleset.table) as Promise<unknown>, { code: 'NFT_NOT_FOUND' });
    await t.throwsAsync(call({ run: noNamespace }, ruleset.table) as Promise<unknown>, { code: 'NFT_REJECTED' });
  }
});

test('applyRuleset() fails with NFT_MISSING where nft is missing, and passes on that another program is', async (t) => {
  const missing: Run = async ([program]) => {
    throw new TapwardenError('PROGRAM_MISSING', { message: `${program} is not there` });
  };
  await t.throwsAsync(applyRuleset({ run: missing }, ruleset), { code: 'NFT_MISSING' });
  await t.throwsAsync(applyRuleset({ run: failing('exec of "nft" failed: No such file or directory\n') }, ruleset), {
    code: 'NFT_MISSING',
  });
  await t.throwsAsync(applyRuleset({ run: missing, enter: ['ip', 'netns', 'exec', 'a'] }, ruleset), {
    code: 'PROGRAM_MISSING',
    message: 'ip is not there',
  });
});

test('applyRuleset() passes errors on that nft did not make', async (t) => {
  const run: Run = async () => {
    throw new TapwardenError('COMMAND_TIMEOUT', { message: 'late' });
  };
  await t.throwsAsync(applyRuleset({ run }, ruleset), { code: 'COMMAND_TIMEOUT' });
});
