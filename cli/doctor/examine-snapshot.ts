import type { Run } from '../../base/index.ts';
import { type Paths, prepareMachine, prepareSnapshot } from '../../driver-vm/index.ts';
import { defaultSize } from '../run/options.ts';
import { type Finding, ok, warn } from './finding.ts';

/** What {@link examineSnapshot} works from. */
export type ExamineSnapshotOptions = {
  readonly paths: Paths;
  /** Whether a state that is not there is taken. */
  readonly mayBuild: boolean;
  readonly run: Run;
  readonly onProgress: (line: string) => void;
};

/** Whether a guest of the usual size is restored or boots. Only where both images are there. */
export async function examineSnapshot(options: ExamineSnapshotOptions): Promise<Finding> {
  const { paths, mayBuild, run, onProgress } = options;
  const machine = await prepareMachine({ stateDir: paths.stateDir, run, onProgress });
  if (machine.accelerator.accelerator === 'kvm') return ok(what, 'guests boot, as KVM is used');
  let refusal = '';
  const snapshot = await prepareSnapshot({
    paths,
    machine: { ...machine, ...defaultSize },
    run,
    mayTake: mayBuild,
    onProgress,
    onFailure: (why) => {
      refusal = why;
    },
  });
  if (snapshot !== undefined) return ok(what, snapshot.file);
  if (refusal !== '') return warn(what, `guests boot each time: ${refusal}`);
  return warn(
    what,
    'not kept yet',
    "The first run takes it, in about ten seconds; so does 'tapwarden doctor --build'.",
  );
}

const what = 'guest state';
