import {
  attributeHeaderBytes,
  eachAttribute,
  encodeText,
  netlinkFlags,
  readNumber64,
  readText,
} from './netlink-message.ts';
import { type NfnetlinkRequest, nftMessages } from './nfnetlink.ts';

/**
 * A ruleset as the kernel has it, exactly: what nft prints leaves out details of some expressions, and a program that is
 * started each time is dear where a ruleset is looked at again and again.
 *
 * Source: include/uapi/linux/netfilter/nf_tables.h (enums nf_tables_msg_types, nft_table_attributes,
 * nft_chain_attributes, nft_rule_attributes, nft_set_attributes, nft_set_flags,
 * nft_set_desc_attributes, nft_set_elem_attributes,
 * nft_set_elem_list_attributes, nft_object_attributes, nft_expr_attributes, nft_list_attributes), libnftnl (udata of rules).
 */

/** A table, chain, rule, set, element of a set, or named object. */
export type RulesetPart = {
  readonly kind: PartKind;
  /** NFPROTO number. Source: include/uapi/linux/netfilter.h. */
  readonly family: number;
  readonly table: string;
  /** Of a chain, set or object its own, of a rule its chain's, of an element its set's; empty for a table. */
  readonly name: string;
  /** Of an element its key, in the kernel's bytes, as hexadecimal text. */
  readonly key?: string;
  /** The comment of a rule. */
  readonly comment?: string;
  /** The number that the kernel gave it, once; not a part of what it does. Of tables alone: 0 for all others. */
  readonly handle: number;
  /** Of a set: whether its elements are part of the ruleset, and whether they may still change. */
  readonly elements?: SetElementsKind;
  /** All else that it says, in the kernel's bytes, as hexadecimal text; without handles, counts and other state. */
  readonly content: string;
  /** Of a set or chain without a name of its own: it comes and goes with the rule that uses it. */
  readonly bound?: boolean;
  /** All attributes, as the kernel gave them. */
  readonly bytes: Buffer;
};

/** What a ruleset is made of. Elements that packets make, or that end by themselves, are none of it. */
export type PartKind = DumpedKind | 'element';
/** Kinds of which all of a namespace are dumped at once. */
export type DumpedKind = 'table' | 'chain' | 'rule' | 'set' | 'object';

/**
 * What becomes of a set's elements: `fixed`, as the kernel lets nobody change a set without a name that a rule uses; `changed`
 * by commands alone; `live`, by packets or by time, which is no change of the ruleset.
 */
export type SetElementsKind = 'fixed' | 'changed' | 'live';

const getters: Readonly<Record<DumpedKind, number>> = {
  table: nftMessages.getTable,
  chain: nftMessages.getChain,
  rule: nftMessages.getRule,
  set: nftMessages.getSet,
  object: nftMessages.getObject,
};
/** Bytes of struct nfgenmsg, which begins every payload. */
const genericBytes = 4;

/** Where each kind has its names and its handle, and which attributes are state, or a number of the kernel's own. */
const layouts: Readonly<Record<DumpedKind, Layout>> = {
  table: { table: 1, name: undefined, handle: 4, state: [3, 5] },
  chain: { table: 1, name: 3, handle: 2, state: [6, 8, 9, 11] },
  rule: { table: 1, name: 2, handle: 3, state: [6, 8, 9, 10, 11] },
  set: { table: 1, name: 2, handle: 16, state: [10, 14, 19, 20] },
  object: { table: 1, name: 2, handle: 6, state: [4, 5, 7] },
};
type Layout = {
  readonly table: number;
  readonly name: number | undefined;
  readonly handle: number;
  readonly state: readonly number[];
};

/** Flags of a chain. */
const chainFlags = { attribute: 10, binding: 0x4 } as const;
/** Flags of a set. */
const setFlags = { attribute: 3, anonymous: 0x1, timeout: 0x10, dynamic: 0x20 } as const;
const setDescription = { attribute: 9, size: 1 } as const;
const elementList = { table: 1, set: 2, elements: 3 } as const;
const elementKey = 1;
/** What time and packets change of an element: when it ends, and what it has counted. */
const elementState: readonly number[] = [5, 7, 8, 11];

const ruleExpressions = 4;
const ruleUserdata = 7;
const listElement = 1;
const expression = { name: 1, data: 2 } as const;
/** Expressions whose data is what they have counted. */
const stateful: readonly string[] = ['counter', 'last', 'quota', 'connlimit'];
const commentUserdata = 0;

/** The kinds in the order in which a ruleset is read. */
export const dumpedKinds: readonly DumpedKind[] = ['table', 'chain', 'rule', 'set', 'object'];

/** Asks for all parts of a kind, of every table in the namespace. */
export function partsRequest(kind: DumpedKind): NfnetlinkRequest {
  return {
    type: getters[kind],
    flags: netlinkFlags.request | netlinkFlags.dump,
    // NFPROTO_UNSPEC: every family.
    payload: Buffer.alloc(genericBytes),
  };
}

/**
 * What tells the parts of a kind from each other, as a key of a map: all but counts and the kernel's own numbers, of which the
 * handles of tables remain, since those are used.
 */
export function identityOf(kind: DumpedKind, payload: Buffer): string {
  const { handle, state } = layouts[kind];
  const dropsHandle = kind !== 'table';
  let text = `${kind} ${payload[0]} `;
  let begun = genericBytes;
  eachAttribute(payload, genericBytes, payload.length, (type, from, to) => {
    if (!state.includes(type) && !(dropsHandle && type === handle)) return;
    text += payload.toString('latin1', begun, from - attributeHeaderBytes);
    begun = Math.min((to + 3) & ~3, payload.length);
  });
  return text + payload.toString('latin1', begun);
}

/** Reads an answer to {@link partsRequest}. */
export function parsePart(kind: DumpedKind, payload: Buffer): RulesetPart {
  const layout = layouts[kind];
  let [table, name, comment, handle] = ['', '', undefined as string | undefined, 0];
  const content: string[] = [];
  let flags = 0;
  eachAttribute(payload, genericBytes, payload.length, (type, from, to) => {
    if (kind === 'set' && type === setFlags.attribute) flags = payload.readUInt32BE(from);
    if (kind === 'chain' && type === chainFlags.attribute) flags = payload.readUInt32BE(from);
    if (type === layout.table) table = readText(payload, from, to);
    else if (type === layout.name) name = readText(payload, from, to);
    else if (type === layout.handle) handle = readNumber64(payload, from);
    else if (layout.state.includes(type)) return;
    else if (kind === 'rule' && type === ruleExpressions) content.push(`${type}:${expressionsOf(payload, from, to)}`);
    else {
      if (kind === 'rule' && type === ruleUserdata) comment = commentOf(payload.subarray(from, to));
      content.push(`${type}:${payload.toString('hex', from, to)}`);
    }
  });
  const bound =
    (kind === 'set' && (flags & setFlags.anonymous) !== 0) || (kind === 'chain' && (flags & chainFlags.binding) !== 0);
  return {
    kind,
    family: payload[0] ?? 0,
    table,
    name,
    ...(comment === undefined ? {} : { comment }),
    handle: kind === 'table' ? handle : 0,
    ...(kind === 'set' ? { elements: elementsKind(flags) } : {}),
    content: content.sort().join(' '),
    ...(bound ? { bound } : {}),
    // A copy, as the datagram is larger by far.
    bytes: Buffer.from(payload.subarray(genericBytes)),
  };
}

function elementsKind(flags: number): SetElementsKind {
  if ((flags & (setFlags.timeout | setFlags.dynamic)) !== 0) return 'live';
  return (flags & setFlags.anonymous) === 0 ? 'changed' : 'fixed';
}

/** What is to be known of a table or set to read the elements of sets. */
export type SetHead = Pick<RulesetPart, 'family' | 'table' | 'name' | 'handle'> & {
  readonly elements: SetElementsKind;
  /** How many elements it was made for, where that was said. */
  readonly size?: number;
};

/** Reads of a table or set that, and no more. */
export function parseSetHead(kind: 'table' | 'set', payload: Buffer): SetHead {
  const layout = layouts[kind];
  let [table, name, handle, flags, size] = ['', '', 0, 0, undefined as number | undefined];
  eachAttribute(payload, genericBytes, payload.length, (type, from, to) => {
    if (type === layout.table) table = readText(payload, from, to);
    else if (type === layout.name) name = readText(payload, from, to);
    else if (type === layout.handle) handle = readNumber64(payload, from);
    else if (kind === 'table') return;
    else if (type === setFlags.attribute) flags = payload.readUInt32BE(from);
    else if (type === setDescription.attribute) size = sizeOf(payload, from, to);
  });
  const head = { family: payload[0] ?? 0, table, name, handle, elements: elementsKind(flags) };
  return size === undefined ? head : { ...head, size };
}

function sizeOf(payload: Buffer, start: number, end: number): number | undefined {
  let size: number | undefined;
  eachAttribute(payload, start, end, (type, from) => {
    if (type === setDescription.size) size = payload.readUInt32BE(from);
  });
  return size;
}

/** Asks for the elements of a set. */
export function partElementsRequest({ family, table, name }: SetHead): NfnetlinkRequest {
  return {
    type: nftMessages.getElements,
    flags: netlinkFlags.request | netlinkFlags.dump,
    payload: Buffer.concat([
      Buffer.from([family, 0, 0, 0]),
      encodeText(elementList.table, table),
      encodeText(elementList.set, name),
    ]),
  };
}

/** How many elements an answer to {@link partElementsRequest} has. */
export function countElements(payload: Buffer): number {
  let count = 0;
  eachAttribute(payload, genericBytes, payload.length, (type, from, to) => {
    if (type !== elementList.elements) return;
    eachAttribute(payload, from, to, () => {
      count += 1;
    });
  });
  return count;
}

/** Reads an answer to {@link partElementsRequest}: a part for each element, with its key, data, flags and comment. */
export function parseElements(
  { family, table, name }: Pick<SetHead, 'family' | 'table' | 'name'>,
  payload: Buffer,
): readonly RulesetPart[] {
  const parts: RulesetPart[] = [];
  eachAttribute(payload, genericBytes, payload.length, (type, from, to) => {
    if (type !== elementList.elements) return;
    eachAttribute(payload, from, to, (_, start, end) => {
      let key = '';
      const content: string[] = [];
      eachAttribute(payload, start, end, (part, first, last) => {
        if (elementState.includes(part)) return;
        if (part === elementKey) {
          eachAttribute(payload, first, last, (_value, begin, stop) => {
            key = payload.toString('hex', begin, stop);
          });
        }
        content.push(`${part}:${payload.toString('hex', first, last)}`);
      });
      const bytes = Buffer.from(payload.subarray(start, end));
      parts.push({ kind: 'element', family, table, name, key, handle: 0, content: content.sort().join(' '), bytes });
    });
  });
  return parts;
}

/** The expressions of a rule, in order, without what they have counted. */
function expressionsOf(payload: Buffer, start: number, end: number): string {
  const expressions: string[] = [];
  eachAttribute(payload, start, end, (type, from, to) => {
    if (type !== listElement) return;
    let [name, data] = ['', ''];
    eachAttribute(payload, from, to, (part, first, last) => {
      if (part === expression.name) name = readText(payload, first, last);
      else if (part === expression.data) data = payload.toString('hex', first, last);
    });
    expressions.push(stateful.includes(name) ? name : `${name}=${data}`);
  });
  return expressions.join(',');
}

/** A list of type, length and value, one byte each of the first two. */
function commentOf(userdata: Buffer): string | undefined {
  for (let at = 0; at + 2 <= userdata.length; ) {
    const [type, length] = [userdata[at], userdata[at + 1] ?? 0];
    if (type === commentUserdata) return readText(userdata, at + 2, Math.min(at + 2 + length, userdata.length));
    at += 2 + length;
  }
  return undefined;
}
