export * from './connection.ts';
export * from './credit.ts';
export * from './frame.ts';
export * from './messages.ts';
export * from './origin.ts';
