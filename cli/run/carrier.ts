import { run } from '../../base/index.ts';
import { prepareMachine, prepareSnapshot, type Snapshot } from '../../driver-vm/index.ts';
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

type Carrier = Awaited<ReturnType<typeof prepareCarrier>>['carrier'];

/** The same, with the state of such a guest that has booted, where one is kept or can be. */
export async function withSnapshot(
  context: Context,
  {
    options,
    carrier,
    progress,
    signal,
  }: {
    readonly options: RunOptions;
    readonly carrier: Carrier;
    readonly progress: Progress;
    readonly signal: AbortSignal;
  },
): Promise<Carrier & { readonly snapshot?: Snapshot | undefined }> {
  // A guest of somebody's own is not known by its name.
  if ('jail' in carrier || !options.restore || context.env['TAPWARDEN_GUEST_DIR'] !== undefined) return carrier;
  const onProgress = (line: string): void => progress.step(line);
  return {
    ...carrier,
    snapshot: await prepareSnapshot({ paths: context.paths, machine: carrier, run, onProgress, signal }),
  };
}
