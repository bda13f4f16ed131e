/**
 * The VM driver: sandboxes from a program. `Sandbox` is a sandbox's life (create, start, exec, stop, delete); the rest is
 * what it is made of. `docs/driver.md` has an example.
 */
export { type ErrorCode, errorCodes, isTapwardenError, run, TapwardenError } from './base/index.ts';
export * from './driver-vm/index.ts';
export type { GuestImage, WorkloadImage } from './init/index.ts';
export { makeLogTag } from './nft/index.ts';
export { fenceRulesets } from './supervisor/index.ts';
