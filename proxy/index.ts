export { clientGoneStatus } from './admit.ts';
export { type ProblemCode, problems } from './answer.ts';
export { defaultLimits } from './context.ts';
export { dialAddress } from './dial-address.ts';
export * from './direct-dial.ts';
export * from './model.ts';
export * from './server.ts';
