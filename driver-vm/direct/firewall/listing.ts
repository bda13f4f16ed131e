import type { NftObject } from '../../../nft/index.ts';

/** A JSON value of nft: libnftables-json(5) has hundreds of forms, of which {@link matchRule} knows the usual ones. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** A rule: its statements in order, each an object with one key. */
export type ListedRule = { readonly handle: number; readonly comment: string; readonly statements: readonly Json[] };

/** A chain, with its rules; `hook` only of base chains. */
export type ListedChain = {
  readonly family: string;
  readonly table: string;
  readonly name: string;
  readonly hook: string | undefined;
  readonly type: string;
  readonly priority: number;
  readonly devices: readonly string[];
  readonly policy: 'accept' | 'drop';
  readonly rules: readonly ListedRule[];
};

/** A ruleset, by name: `chains.get('inet filter forward')`, `elements.get('inet filter blocked')`. */
export type Listing = {
  readonly chains: ReadonlyMap<string, ListedChain>;
  /** The elements of sets; of maps, pairs of key and value. */
  readonly elements: ReadonlyMap<string, readonly Json[]>;
};

/** Names a thing of a table. */
export const nameIn = (family: string, table: string, name: string): string => `${family} ${table} ${name}`;

/** Sorts what `nft -j list ruleset` prints, leaving out the tables of `except` (`'inet tapwarden_host'`). */
export function readListing(objects: readonly NftObject[], except: readonly string[]): Listing {
  const rules = new Map<string, ListedRule[]>();
  const chains = new Map<string, ListedChain>();
  const elements = new Map<string, readonly Json[]>();
  for (const object of objects) {
    const [kind, attributes] = Object.entries(object)[0] ?? [];
    if (kind === undefined || attributes === undefined) continue;
    const { family, table, name, chain } = attributes as Record<string, Json>;
    if (except.includes(`${text(family)} ${text(table)}`)) continue;
    if (kind === 'rule') {
      const key = nameIn(text(family), text(table), text(chain));
      const known = rules.get(key) ?? [];
      known.push(readRule(attributes as Record<string, Json>));
      rules.set(key, known);
    } else if (kind === 'chain') {
      const key = nameIn(text(family), text(table), text(name));
      chains.set(key, readChain(attributes as Record<string, Json>));
    } else if (kind === 'set' || kind === 'map') {
      const listed = attributes['elem'] as Json | undefined;
      elements.set(nameIn(text(family), text(table), text(name)), Array.isArray(listed) ? listed : []);
    }
  }
  return {
    chains: new Map([...chains].map(([key, chain]) => [key, { ...chain, rules: rules.get(key) ?? [] }])),
    elements,
  };
}

function readRule(attributes: Readonly<Record<string, Json>>): ListedRule {
  const { handle, comment, expr } = attributes;
  return { handle: Number(handle), comment: text(comment), statements: Array.isArray(expr) ? expr : [] };
}

function readChain(attributes: Readonly<Record<string, Json>>): ListedChain {
  const { family, table, name, hook, type, prio, policy, dev } = attributes;
  return {
    family: text(family),
    table: text(table),
    name: text(name),
    hook: typeof hook === 'string' ? hook : undefined,
    type: text(type),
    priority: Number(prio ?? 0),
    devices: typeof dev === 'string' ? [dev] : Array.isArray(dev) ? dev.map(text) : [],
    policy: policy === 'drop' ? 'drop' : 'accept',
    rules: [],
  };
}

function text(value: Json | undefined): string {
  return typeof value === 'string' ? value : '';
}
