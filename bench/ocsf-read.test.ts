import { readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import test from 'ava';
import { isTapwardenError } from '../base/index.ts';
import { measureRead } from './ocsf-read.ts';

const logs = async (): Promise<readonly string[]> =>
  (await readdir(tmpdir())).filter((name) => name.startsWith('tapwarden-bench-read-'));

test('measureRead: has figures of each way to read, and leaves nothing behind', async (t) => {
  t.timeout(60_000);
  const before = await logs();
  const { figures, rows } = await measureRead(() => undefined, 4 * 1024 ** 2);
  t.deepEqual(Object.keys(figures), [
    'read_rss_mib',
    ...['short', 'json', 'filter', 'count'].map((name) => `read_${name}_mib_per_s`),
  ]);
  // Node alone takes some thirty.
  t.true((figures['read_rss_mib'] ?? 0) > 20);
  t.is(rows.length, 4);
  t.deepEqual(await logs(), before);
});

test('measureRead: does not begin without the room for it', async (t) => {
  const error = await t.throwsAsync(measureRead(() => undefined, 2 ** 60));
  t.true(isTapwardenError(error, 'DISK_FULL'));
});
