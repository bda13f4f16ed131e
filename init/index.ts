export { neededBytes } from './build-step.ts';
export * from './contract.ts';
export * from './guest-image.ts';
export { ensureEntry } from './image-store.ts';
export * from './kernel-command-line.ts';
export { parseKernelPackage } from './kernel-package.ts';
export { findProgram, type ProgramName, programPackages } from './programs.ts';
export * from './tsc.ts';
export * from './workload-image.ts';
