export { workloadNet } from './addresses.ts';
export { guestExecMarks } from './exec-marks.ts';
export { type FenceSpec, fenceCounters, fenceRuleset } from './fence.ts';
export { fenceRulesets } from './fence-rulesets.ts';
export { fenceTable } from './fence-table.ts';
export { guestRuleset, guestTable } from './guest-table.ts';
