import { randomBytes } from 'node:crypto';
import { writeSync } from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';
import { type FsyncPolicy, JsonlWriter, sandboxStarted } from '../../ocsf/index.ts';

// A program of its own, for tests that kill it: appends events to a log without end, a few at a time, rotates every few
// dozen lines, and prints each `status.acknowledged` as it comes. Arguments: the log, and the fsync policy.

const [path = '', fsync = ''] = process.argv.slice(2);
const log = JsonlWriter.open(path, {
  now: Date.now,
  randomBytes,
  fsync: fsync as FsyncPolicy,
  rotation: { maxBytes: 8000, retention: { files: 100_000 } },
});
const body = sandboxStarted(
  {
    ocsfVersion: '1.8.0',
    productVersion: '0.1.0',
    logName: 'events.jsonl',
    sandboxId: 'a',
    runId: '0b0e0c1e-3c8e-4f7e-9a55-0d4b5a0d6f11',
    hostname: 'host',
    hypervisor: 'qemu',
    policy: { uid: 'p', name: 'p', version: 'sha256:1' },
  },
  { time: Date.now(), accelerator: 'tcg' },
);
writeSync(1, `begun ${log.torn === undefined ? 0 : 1}\n`);
for (let count = 1; ; count = (count % 7) + 1) {
  for (let number = 0; number < count; number += 1) log.append(body);
  await log.flushed();
  writeSync(1, `${log.status.acknowledged}\n`);
  await turn();
}
