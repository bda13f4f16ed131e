export * from './contract.ts';
export * from './guest-image.ts';
export * from './kernel-command-line.ts';
export * from './tsc.ts';
export * from './workload-image.ts';
