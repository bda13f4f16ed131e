import type { TableName } from '../nft/model.ts';

/** The fence's table in the workload's namespace. */
export const fenceTable: TableName = { family: 'inet', name: 'tapwarden_fence' };
