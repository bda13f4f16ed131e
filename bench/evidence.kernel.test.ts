import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { run } from '../base/index.ts';
import { readFlood } from './evidence-flood.ts';
import { programText } from './sandbox.ts';
import { quantile } from './summary.ts';

test('quantile() is the least number that the fraction of all does not exceed', (t) => {
  const hundred = Array.from({ length: 100 }, (_, index) => 100 - index);
  t.is(quantile(hundred, 0.95), 95);
  t.is(quantile(hundred, 0.99), 99);
  t.is(quantile(hundred, 1), 100);
  t.is(quantile([7], 0.5), 7);
  t.throws(() => quantile([], 0.5), { instanceOf: RangeError });
});

test('flood.pl says what it was to send, what it sent and what was refused of it', async (t) => {
  // A namespace without a route: ten packets in a second, none of which can leave.
  const program = await programText('flood.pl');
  const { stdout } = await run(['unshare', '--net', '--', 'perl', '-e', program, '--', '10', '1', '2']);
  const { offered, sent, refused, tookMs } = readFlood(stdout.trim());
  t.is(offered, 10);
  t.true(sent >= 9 && sent <= 10);
  t.is(refused, sent);
  t.true(tookMs >= 1000 && tookMs < 5000);
  t.throws(() => readFlood(''), { message: /did not say/ });
});

test('the programs of the benchmark are valid Python', async (t) => {
  for (const name of ['latency.py', 'refuse.py']) {
    t.true((await readFile(join('bench', 'programs', name), 'utf8')).endsWith('\n'));
    await t.notThrowsAsync(run(['python3', '-c', 'import ast,sys; ast.parse(sys.argv[1])', await programText(name)]));
  }
});
