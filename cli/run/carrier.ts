import { run } from '../../base/index.ts';
import { prepareMachine } from '../../driver-vm/index.ts';
import { ensureWorkloadImage } from '../../init/index.ts';
import type { Context } from '../context.ts';
import type { Progress } from '../progress.ts';
import type { RunOptions } from './options.ts';

/** What carries the sandbox, and the image that the workload sees: of a jail the host's own files, without one. */
export async function prepareCarrier(context: Context, options: RunOptions, progress: Progress) {
  const { cpus, memoryMiB, limits: required } = options;
  const { stateDir } = context.paths;
  const common = { stateDir, run, onProgress: (line: string) => progress.step(line) };
  if (options.jail) {
    progress.warn('this is a jail: no virtual machine stands between the command and this host');
    const image =
      options.image === undefined ? undefined : await ensureWorkloadImage({ ...common, name: options.image });
    return { carrier: { jail: { limits: { cpus, memoryMiB }, required, image: image?.path ?? null } }, image };
  }
  const guestDir = context.env['TAPWARDEN_GUEST_DIR'];
  const machine = await prepareMachine({
    ...common,
    ...(options.image === undefined ? {} : { image: options.image }),
    ...(guestDir === undefined ? {} : { guestDir }),
  });
  return { carrier: { ...machine, cpus, memoryMiB }, image: machine.workload };
}
