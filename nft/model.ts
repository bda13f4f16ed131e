/**
 * A ruleset as data: one table with its named counters, sets and chains. Rule bodies stay nft text, as `nft(8)` has it;
 * what surrounds them is typed, and {@link validateRuleset} checks the whole before any of it reaches nft.
 */

/** Source: nft(8), ADDRESS FAMILIES. Only `inet` sees IPv4 and IPv6 alike; `ip` alone leaves IPv6 open. */
export type Family = 'inet' | 'netdev';

/** A table by family and name. Names: `[A-Za-z_][A-Za-z0-9_-]{0,62}`. */
export type TableName = { readonly family: Family; readonly name: string };

/** A base chain's place. Source: nft(8), CHAINS; priorities as in nft(8), table 6. */
export type Hook = {
  readonly type: 'filter' | 'nat';
  readonly hook: 'ingress' | 'prerouting' | 'input' | 'forward' | 'output' | 'postrouting';
  /** A name (`filter`, `srcnat`) or a number. Lower runs first. */
  readonly priority: 'filter' | 'srcnat' | number;
  readonly policy: 'accept' | 'drop';
  /** The interface of an `ingress` hook, 1 to 15 bytes. */
  readonly device?: string;
};

/** One rule: nft text for the body, and a comment that says where it comes from (1 to 128 bytes). */
export type Rule = { readonly body: string; readonly comment: string };

/** A chain; without `hook` it runs only where a rule jumps to it. */
export type Chain = { readonly name: string; readonly hook?: Hook; readonly rules: readonly Rule[] };

/** A named set. `type` is nft's type text, for example `ipv4_addr . inet_proto . inet_service`. */
export type NftSet = {
  readonly name: string;
  readonly type: string;
  /** What each element maps to, as nft's type text: then it is a map, and its elements are `key : value`. */
  readonly data?: 'mark';
  /** Each element has a counter. @default false */
  readonly counter?: boolean;
  readonly flags?: readonly ('dynamic' | 'timeout' | 'interval' | 'constant')[];
  /** The number of elements at the most. A dynamic set without a size would let a flood eat kernel memory. */
  readonly size?: number;
  readonly timeoutS?: number;
  readonly elements?: readonly string[];
};

/** One table and all that stands in it. */
export type Ruleset = {
  readonly table: TableName;
  readonly counters: readonly string[];
  readonly sets: readonly NftSet[];
  readonly chains: readonly Chain[];
};
