import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { run } from '../base/index.ts';

test('Sandbox: the example of docs/driver.md runs as it stands there', async (t) => {
  const page = await readFile('docs/driver.md', 'utf8');
  const example = /```ts\n(.*?)```/s.exec(page)?.[1];
  if (example === undefined) return t.fail('docs/driver.md has no example');
  // Beside the package, since it imports the package by its name.
  const folder = await mkdtemp(join(process.cwd(), '.driver-example-'));
  try {
    const file = join(folder, 'example.mjs');
    await writeFile(file, example.replace('/var/log/jobs/job-1.jsonl', join(folder, 'job-1.jsonl')));
    const { stdout } = await run([process.execPath, file], { timeoutMs: 300_000 });
    t.regex(stdout, /^Python 3\.\d+\.\d+\n0 0 0\n$/);
    const events = (await readFile(join(folder, 'job-1.jsonl'), 'utf8')).trimEnd().split('\n');
    t.deepEqual(
      events.map((line) => (JSON.parse(line) as { type_name: string }).type_name),
      [
        'Application Lifecycle: Start',
        'Process Activity: Launch',
        'Process Activity: Terminate',
        'Application Lifecycle: Stop',
      ],
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
