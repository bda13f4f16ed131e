import { randomBytes, randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { run } from '../base/index.ts';
import { openEventsFile, pathsOf, prepareMachine, Sandbox } from '../driver-vm/index.ts';
import { makeLogTag } from '../nft/index.ts';
import { denyAll } from '../policy/index.ts';
import { vmTest } from './support/vm-test.ts';

/** Milliseconds after which a guest is given up: before QEMU has opened the channel, about when it does, and while it boots. */
const limits = [20, 80, 400];

vmTest(
  'Sandbox.start(): a guest that does not report in time is booted once more, and then given up',
  async (t, bench) => {
    const paths = pathsOf({ TAPWARDEN_STATE_DIR: process.env['TAPWARDEN_STATE_DIR'], TAPWARDEN_RUN_DIR: bench.runDir });
    const machine = await prepareMachine({ stateDir: paths.stateDir, run, onProgress: () => undefined });
    for (const helloMs of limits) {
      const id = bench.newId();
      const said: string[] = [];
      const sandbox = await Sandbox.create({
        ...{ id, paths, run, ...machine, cpus: 1, memoryMiB: 512, policy: denyAll, direct: [], allowUnlogged: false },
        tag: makeLogTag(randomBytes(16)),
        events: await openEventsFile(join(bench.folder, `${id}.jsonl`)),
        context: {
          ...{
            ocsfVersion: '1.8.0',
            productVersion: '0.1.0',
            logName: `${id}.jsonl`,
            sandboxId: id,
            runId: randomUUID(),
          },
          ...{ hostname: 'host', hypervisor: 'qemu', policy: { uid: 'p', name: 'p', version: '1' } },
        },
        timeouts: { helloMs, readyMs: helloMs },
        onProgress: (line) => said.push(line),
      });
      try {
        const error = await t.throwsAsync(sandbox.start(), { code: 'VM_BOOT_TIMEOUT' }, `after ${helloMs} ms`);
        t.regex(error?.message ?? '', /did not report within 0\.\d+ s of its boot/);
        t.deepEqual(said, ['the guest did not come up in time; booting once more'], `after ${helloMs} ms`);
      } finally {
        await sandbox.delete();
      }
    }
  },
);
