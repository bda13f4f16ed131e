import { statSync } from 'node:fs';
import { cgroupMark, type SetElement } from '../nft/nfnetlink.ts';
import type { ExecMarks } from './fence.ts';
import { cgroupMount } from './place.ts';
import { execCgroup, premadeExecs } from './workload-layout.ts';

/** The cgroup of an exec, which is there, and its mark. */
export type ExecMark = ExecMarks['cgroups'][number];

/** The marks of the execs: the root of cgroup v2 is where nft looks, and the mark is the exec's number. */
export const guestExecMarks: ExecMarks = {
  level: pathOf(1).split('/').length,
  cgroups: premadeExecs.map(execMark),
};

/** The mark of an exec. */
export function execMark(exec: number): ExecMark {
  return { cgroup: pathOf(exec), mark: exec };
}

/** The element of the fence's map that gives an exec its mark, as nft makes it: the number of its folder is that of a cgroup. */
export function markElement({ cgroup, mark }: ExecMark): SetElement {
  return cgroupMark(statSync(`${cgroupMount}/${cgroup}`, { bigint: true }).ino, mark);
}

function pathOf(exec: number): string {
  return execCgroup(exec).slice(cgroupMount.length + 1);
}
