import type { Run } from '../base/index.ts';
import { addElements } from '../nft/index.ts';
import { type ExecMarks, execsMap } from './fence.ts';
import { inWorkloadNamespace } from './fence-loader.ts';
import { fenceTable } from './fence-table.ts';
import { cgroupMount } from './place.ts';
import { execCgroup, premadeExecs } from './workload-layout.ts';

/** The marks of the execs: the root of cgroup v2 is where nft looks, and the mark is the exec's number. */
export const guestExecMarks: ExecMarks = {
  level: pathOf(1).split('/').length,
  cgroups: premadeExecs.map(markOf),
};

/** The mark of an exec. */
function markOf(exec: number): ExecMarks['cgroups'][number] {
  return { cgroup: pathOf(exec), mark: exec };
}

/**
 * Gives a later exec its mark. Its cgroup is there already, and nothing runs in it yet.
 *
 * @throws NFT_NOT_FOUND, NFT_REJECTED when the fence does not take it: its packets are then counted with no exec
 */
export async function markExec(run: Run, exec: number): Promise<void> {
  await addElements({ run, enter: inWorkloadNamespace }, fenceTable, [
    { set: execsMap, elements: [`"${pathOf(exec)}" : ${exec}`] },
  ]);
}

function pathOf(exec: number): string {
  return execCgroup(exec).slice(cgroupMount.length + 1);
}
