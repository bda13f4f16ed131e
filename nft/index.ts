export * from './direct.ts';
export * from './features.ts';
export * from './log-prefix.ts';
export * from './model.ts';
export * from './nft.ts';
export * from './render.ts';
export * from './validate.ts';
