export * from './errors.ts';
export * from './escape.ts';
export * from './lock.ts';
export * from './network-namespace.ts';
export * from './runner.ts';
export * from './shape.ts';
export * from './undo.ts';
