import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { dir } from 'tmp-promise';
import { type Run, TapwardenError } from '../../base/index.ts';
import type { Accelerator } from '../vmm.ts';
import { prepareSnapshot, type SnapshotOptions, withState } from './snapshot.ts';

type Told = { readonly options: SnapshotOptions; readonly folder: string; readonly failures: string[] };

/** A machine whose files are there, on a host on which nothing can be made, and all be taken away. */
async function machineOf(t: ExecutionContext, accelerator: Accelerator = 'tcg'): Promise<Told> {
  const { path: folder, cleanup } = await dir({ prefix: 'tapwarden-snapshot-', unsafeCleanup: true });
  t.teardown(cleanup);
  const file = async (name: string): Promise<string> => {
    await writeFile(join(folder, name), name);
    return join(folder, name);
  };
  const guest = { kernel: await file('vmlinux'), initrd: await file('initrd'), root: await file('root.ext4') };
  const failures: string[] = [];
  const run: Run = async ([name, ...words]) => {
    if (words.includes('del')) return { stdout: '', stderr: '', status: 0 };
    throw new TapwardenError('PROGRAM_MISSING', { message: `there is no ${name}` });
  };
  await mkdir(join(folder, 'state'));
  const options: SnapshotOptions = {
    paths: { stateDir: join(folder, 'state'), runDir: join(folder, 'run') },
    machine: {
      guest: { ...guest, hash: 'a', directory: folder, kernelRelease: '6.1.0' },
      workload: { name: 'default', path: await file('workload.ext4') },
      accelerator: { accelerator, reason: '' },
      ...{ tscKhz: 2_596_122, vmmVersion: 'QEMU emulator version 7.2.22', cpus: 1, memoryMiB: 512 },
    },
    run,
    onProgress: () => undefined,
    onFailure: (why) => failures.push(why),
  };
  return { options, folder, failures };
}

test('prepareSnapshot() has none with KVM, and none where it may not take one: nothing is made', async (t) => {
  const kvm = await machineOf(t, 'kvm');
  t.is(await prepareSnapshot(kvm.options), undefined);
  const asking = await machineOf(t);
  t.is(await prepareSnapshot({ ...asking.options, mayTake: false }), undefined);
  for (const { folder, failures } of [kvm, asking]) {
    t.deepEqual(failures, []);
    t.deepEqual(await readdir(join(folder, 'state')), []);
  }
});

test('prepareSnapshot() says why none can be taken, leaves nothing of it, and tries again', async (t) => {
  const { options, folder, failures } = await machineOf(t);
  t.is(await prepareSnapshot(options), undefined);
  t.is(await prepareSnapshot(options), undefined);
  t.is(failures.length, 2);
  t.regex(failures[0] ?? '', /there is no ip/);
  t.deepEqual(await readdir(join(folder, 'state', 'images', 'snapshot')), ['.lock']);
  await t.throwsAsync(readdir(join(folder, 'run')), { code: 'ENOENT' });
});

test('prepareSnapshot() ends with the reason of its signal, and leaves nothing', async (t) => {
  const { options, folder, failures } = await machineOf(t);
  const reason = new Error('Ctrl-C');
  await t.throwsAsync(prepareSnapshot({ ...options, signal: AbortSignal.abort(reason) }), { is: reason });
  t.deepEqual(failures, []);
  await t.throwsAsync(readdir(join(folder, 'run')), { code: 'ENOENT' });
});

test('withState() fails with VMM_FAILED when the state is gone', (t) => {
  t.throws(() => withState({ file: '/nonexistent/state' }, () => 1), { code: 'VMM_FAILED', message: /ENOENT/ });
});
