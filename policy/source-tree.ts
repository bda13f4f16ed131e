import { quoteText } from '../base/escape.ts';
import type { Place } from './problem.ts';

/** A value of a policy and where it stands. The same readers serve text and plain data. */
export type SourceNode = SourceMap | SourceList | SourceScalar | SourceRefused;

/** Keys and values, in order, each key once. */
export type SourceMap = {
  readonly kind: 'map';
  readonly at: Place;
  readonly entries: readonly { readonly key: string; readonly keyAt: Place; readonly value: SourceNode }[];
};

/** Items in order. */
export type SourceList = { readonly kind: 'list'; readonly at: Place; readonly items: readonly SourceNode[] };

/** A single value: `text` is what the file says, so that `0x1bb` can be told from `443`. */
export type SourceScalar = {
  readonly kind: 'scalar';
  readonly at: Place;
  readonly type: 'string' | 'number' | 'other';
  readonly text: string;
};

/** A value that is a problem already, so that nothing more is to be said about it. */
export type SourceRefused = { readonly kind: 'refused'; readonly at: Place };

/** The path of a key below `path`. Example: `childPath('rules[0]', 'hosts')` is `'rules[0].hosts'`. */
export function childPath(path: string, key: string): string {
  const shown = quoteText(key, 80);
  return path === '' ? shown : `${path}.${shown}`;
}
