export { workloadNet } from './addresses.ts';
export { type FenceSpec, fenceCounters, fenceRuleset, fenceTable } from './fence.ts';
export { guestRuleset, guestTable } from './guest-table.ts';
