import type { TableName } from '../nft/model.ts';

/** The fence's table in the workload's namespace. A file of its own, for the reader loads nothing that it need not. */
export const fenceTable: TableName = { family: 'inet', name: 'tapwarden_fence' };
