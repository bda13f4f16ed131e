import { attributesOf, eachAttribute, encodeAttribute, encodeText, netlinkFlags, readText } from './netlink-message.ts';
import { type NfnetlinkRequest, nftMessages } from './nfnetlink.ts';
import type { PartKind, RulesetPart } from './ruleset-dump.ts';

/**
 * Gives the kernel back what it once told of a ruleset, in its own bytes: no program is started for it, and nothing that stands
 * already is touched, so that counters and the elements that packets made live on.
 *
 * Source: include/uapi/linux/netfilter/nf_tables.h (enum nf_tables_msg_types and the attributes of each message),
 * net/netfilter/nf_tables_api.c (what a message needs, and that a batch takes effect as a whole).
 */

const tableHandle = 4;
const chainPolicy = 5;
const setId = 10;
const objectAttributes = { type: 3, data: 4 } as const;
const counterObject = 1;
const listAttributes = { table: 1, set: 2, elements: 3 } as const;
const listElement = 1;
const ruleExpressions = 4;
const expressionAttributes = { name: 1, data: 2 } as const;
/** Expressions that need nothing said, and whose data is what they have counted. */
const countingExpressions: readonly string[] = ['counter', 'last'];

/**
 * The attributes of each part that say what it is. What else a kernel tells are counts, numbers of its own, and what a newer
 * one has come to tell, which it does not always take back. A chain's flags say what its hook says too.
 */
const given: Readonly<Record<PartKind, readonly number[]>> = {
  table: [1, 2, 6],
  chain: [1, 3, 4, 5, 7, 12],
  rule: [1, 2, 5, 7],
  set: [1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 15, 17, 18],
  object: [1, 2, 3, 8],
  element: [1, 2, 3, 6, 9, 10],
};
/** NFTA_DYNSET_TIMEOUT */
const updateTimeout = 6;
/** By which an element is known. */
const elementIdentity = { key: 1, flags: 3, keyEnd: 10 } as const;

/** Bytes of elements that go into one message: an attribute has room for 65,535. */
const maxElementBytes = 32_768;

/**
 * The messages of a transaction that makes the tables of `wanted` in `found` equal to it. What is missing comes back; a chain whose
 * rules differ gets them anew. Of a table that stands, counters and live elements stay, and only what is strange or of another kind
 * is taken out; its rules are all given back then, as they may lead there.
 *
 * @param isLoose whether a part may come and go, and is left alone
 */
export function replayOf(
  wanted: readonly RulesetPart[],
  found: readonly RulesetPart[],
  isLoose: (part: RulesetPart) => boolean = () => false,
): readonly NfnetlinkRequest[] {
  return tablesOf(wanted).flatMap((table) =>
    replayOfTable(table, partsIn(table, wanted), partsIn(table, found), isLoose),
  );
}

/**
 * The same where that is refused: the tables are deleted with all that was counted in them, and made anew. That does not depend on
 * what stands, which somebody may be changing meanwhile.
 */
export function rebuildOf(wanted: readonly RulesetPart[]): readonly NfnetlinkRequest[] {
  const replaced = tablesOf(wanted).flatMap((table) => [
    // There may be none, and to delete that would be an error.
    creationOf(table),
    request(nftMessages.deleteTable, table, encodeText(1, table.table)),
  ]);
  return [...replaced, ...replayOf(wanted, [])];
}

/** Messages that delete the tables that are none of `wanted`, each for a transaction of its own: one may be gone by then. */
export function removalsOf(wanted: readonly RulesetPart[], found: readonly RulesetPart[]): readonly NfnetlinkRequest[] {
  const own = tablesOf(wanted);
  return tablesOf(found)
    .filter((table) => !own.some((one) => isOneTable(one, table)))
    .map(deletionOfTable);
}

function replayOfTable(
  table: RulesetPart,
  wanted: readonly RulesetPart[],
  found: readonly RulesetPart[],
  isLoose: (part: RulesetPart) => boolean,
): readonly NfnetlinkRequest[] {
  const standing = found.filter((part) => isNamed(part) && part.bound !== true);
  const gone = standing.filter((part) => !isLoose(part) && !isKept(part, sameOf(part, wanted)));
  const kept = standing.filter((part) => !gone.includes(part));
  const refilled = wanted.filter(
    (part) => part.kind === 'chain' && (gone.length > 0 || isRefilled(part, wanted, found)),
  );
  const rules = wanted.filter((part) => part.kind === 'rule' && refilled.some(({ name }) => name === part.name));
  // A set without a name of its own goes with its rule, and comes with it.
  const isMissing = (part: RulesetPart): boolean =>
    part.bound === true ? rules.some((rule) => mentions(rule, part.name)) : sameOf(part, kept) === undefined;
  const sets = wanted.filter((part) => part.kind === 'set' && isMissing(part));
  const isChanged = (part: RulesetPart): boolean => sameOf(part, kept)?.content !== part.content;
  const ofKind = (parts: readonly RulesetPart[], kind: RulesetPart['kind']) =>
    parts.filter((part) => part.kind === kind);
  return [
    ...(sameOf(table, found)?.content === table.content ? [] : [creationOf(table)]),
    ...flushes(table, refilled, found, gone.length > 0),
    ...[...ofKind(gone, 'set'), ...ofKind(gone, 'object'), ...ofKind(gone, 'chain')].map(deletion),
    ...ofKind(wanted, 'chain').filter(isChanged).map(creationOf),
    ...ofKind(wanted, 'object').filter(isMissing).map(creationOf),
    ...sets.map((set, index) => creationOfSet(set, index + 1)),
    ...ofKind(wanted, 'set').flatMap((set) => elementsOf(set, wanted, sets.includes(set) ? [] : found)),
    ...rules.map(creationOf),
  ];
}

/** A part that stands as it should, or can be made so where it stands. */
function isKept(part: RulesetPart, wanted: RulesetPart | undefined): boolean {
  if (wanted === undefined) return false;
  if (part.kind !== 'chain') return part.content === wanted.content;
  // The policy is all that can be changed of a chain.
  const rest = ({ content }: RulesetPart): string =>
    content
      .split(' ')
      .filter((attribute) => !attribute.startsWith(`${chainPolicy}:`))
      .join(' ');
  return rest(part) === rest(wanted);
}

/** Whether the rules of a chain, or the unnamed sets that they use, are not what they should be. */
function isRefilled(chain: RulesetPart, wanted: readonly RulesetPart[], found: readonly RulesetPart[]): boolean {
  const rulesIn = (parts: readonly RulesetPart[]) =>
    parts.filter((part) => part.kind === 'rule' && part.name === chain.name);
  const [own, theirs] = [rulesIn(wanted), rulesIn(found)];
  if (own.length !== theirs.length || own.some(({ content }, at) => content !== theirs[at]?.content)) return true;
  const text = (set: RulesetPart, parts: readonly RulesetPart[]): string =>
    parts
      .filter(({ kind, name }) => (kind === 'set' || kind === 'element') && name === set.name)
      .map(({ content }) => content)
      .toSorted()
      .join('\n');
  return wanted
    .filter((part) => part.kind === 'set' && part.bound === true && own.some((rule) => mentions(rule, part.name)))
    .some((set) => text(set, wanted) !== text(set, found));
}

function flushes(
  table: RulesetPart,
  refilled: readonly RulesetPart[],
  found: readonly RulesetPart[],
  all: boolean,
): readonly NfnetlinkRequest[] {
  const isThere = found.some(({ kind }) => kind === 'table');
  if (all && isThere) return [request(nftMessages.deleteRule, table, encodeText(1, table.table))];
  return refilled
    .filter((chain) => sameOf(chain, found) !== undefined)
    .map((chain) => request(nftMessages.deleteRule, chain, encodeText(1, chain.table), encodeText(2, chain.name)));
}

const creators = {
  table: nftMessages.newTable,
  chain: nftMessages.newChain,
  rule: nftMessages.newRule,
  object: nftMessages.newObject,
} as const;
/** What was made once: under emulation it takes a while, and the parts of a ruleset stay the same. */
const made = new WeakMap<RulesetPart, NfnetlinkRequest>();

/** Makes the message that gives a part back, before it is needed. */
export function prepareReplay(part: RulesetPart): void {
  if (part.kind !== 'element' && part.kind !== 'set') creationOf(part);
}

function creationOf(part: RulesetPart): NfnetlinkRequest {
  const known = made.get(part);
  if (known !== undefined) return known;
  const creation =
    part.kind === 'rule'
      ? creationOfRule(part)
      : part.kind === 'object'
        ? creationOfObject(part)
        : create(
            part.kind === 'table' ? creators.table : creators.chain,
            part,
            attributesOf(part.bytes, given[part.kind]),
          );
  made.set(part, creation);
  return creation;
}

function creationOfSet(set: RulesetPart, id: number): NfnetlinkRequest {
  return create(nftMessages.newSet, set, attributesOf(set.bytes, given.set), encodeAttribute(setId, numberBytes(id)));
}

/** A counter begins at nothing. */
function creationOfObject(object: RulesetPart): NfnetlinkRequest {
  const { data } = objectAttributes;
  const isCounter = objectType(object) === counterObject;
  const attributes = attributesOf(object.bytes, isCounter ? given.object : [...given.object, data]);
  return create(creators.object, object, attributes, isCounter ? encodeAttribute(data, []) : Buffer.alloc(0));
}

function creationOfRule(rule: RulesetPart): NfnetlinkRequest {
  const rest = attributesOf(rule.bytes, given.rule);
  let expressions: Buffer = Buffer.alloc(0);
  eachAttribute(rule.bytes, 0, rule.bytes.length, (type, from, to) => {
    if (type === ruleExpressions) expressions = encodeAttribute(type, expressionsOf(rule.bytes, from, to));
  });
  return { ...create(creators.rule, rule, rest, expressions), flags: creating | netlinkFlags.append };
}

function expressionsOf(bytes: Buffer, start: number, end: number): readonly Buffer[] {
  const list: Buffer[] = [];
  eachAttribute(bytes, start, end, (type, from, to) => {
    list.push(encodeAttribute(type, expressionOf(bytes.subarray(from, to))));
  });
  return list;
}

/** What an expression was told: without what it has counted, and without a timeout of none, which the kernel tells of too. */
function expressionOf(expression: Buffer): readonly Buffer[] {
  let name = '';
  let data: Buffer | undefined;
  eachAttribute(expression, 0, expression.length, (type, from, to) => {
    if (type === expressionAttributes.name) name = readText(expression, from, to);
    else if (type === expressionAttributes.data) data = expression.subarray(from, to);
  });
  const head = encodeText(expressionAttributes.name, name);
  if (data === undefined || countingExpressions.includes(name)) return [head];
  return [head, encodeAttribute(expressionAttributes.data, [name === 'dynset' ? withoutZeroTimeout(data) : data])];
}

function withoutZeroTimeout(data: Buffer): Buffer {
  const types: number[] = [];
  eachAttribute(data, 0, data.length, (type, from, to) => {
    if (type !== updateTimeout || data.subarray(from, to).some((byte) => byte !== 0)) types.push(type);
  });
  return attributesOf(data, types);
}

/** The elements that commands alone change: those that are missing, and those that are too many. */
function elementsOf(
  set: RulesetPart,
  wanted: readonly RulesetPart[],
  found: readonly RulesetPart[],
): readonly NfnetlinkRequest[] {
  // Those of unnamed sets come with the set.
  if (set.elements === 'live') return [];
  const within = (parts: readonly RulesetPart[]): readonly RulesetPart[] =>
    parts.filter(({ kind, name }) => kind === 'element' && name === set.name);
  const [own, theirs] = [within(wanted), within(found)];
  const beside = (parts: readonly RulesetPart[], others: readonly RulesetPart[]): readonly RulesetPart[] => {
    const contents = new Set(others.map(({ content }) => content));
    return parts.filter(({ content }) => !contents.has(content));
  };
  const identity = Object.values(elementIdentity);
  return [
    ...inMessages(nftMessages.deleteElements, set, beside(theirs, own), (element) =>
      attributesOf(element.bytes, identity),
    ),
    ...inMessages(nftMessages.newElements, set, beside(own, theirs), (element) =>
      attributesOf(element.bytes, given.element),
    ),
  ];
}

function inMessages(
  type: number,
  set: RulesetPart,
  elements: readonly RulesetPart[],
  encode: (element: RulesetPart) => Buffer,
): readonly NfnetlinkRequest[] {
  const messages: NfnetlinkRequest[] = [];
  let list: Buffer[] = [];
  let bytes = 0;
  const flush = (): void => {
    if (list.length === 0) return;
    const head = [encodeText(listAttributes.table, set.table), encodeText(listAttributes.set, set.name)];
    const body = [...head, encodeAttribute(listAttributes.elements, list)];
    messages.push(type === nftMessages.newElements ? create(type, set, ...body) : request(type, set, ...body));
    [list, bytes] = [[], 0];
  };
  for (const element of elements) {
    const encoded = encodeAttribute(listElement, [encode(element)]);
    if (bytes + encoded.length > maxElementBytes) flush();
    list.push(encoded);
    bytes += encoded.length;
  }
  flush();
  return messages;
}

/** Asks whether a set has an element, by its key, which a dump of a set that is being enlarged may pass over. */
export function elementRequest(element: RulesetPart): NfnetlinkRequest {
  const list = [encodeAttribute(listElement, [attributesOf(element.bytes, Object.values(elementIdentity))])];
  const asked = request(
    nftMessages.getElements,
    element,
    encodeText(listAttributes.table, element.table),
    encodeText(listAttributes.set, element.name),
    encodeAttribute(listAttributes.elements, list),
  );
  return { ...asked, flags: netlinkFlags.request | netlinkFlags.ack };
}

/** By its number, as its name may be one that nobody can type. */
function deletionOfTable(table: RulesetPart): NfnetlinkRequest {
  const handle = Buffer.alloc(8);
  handle.writeBigUInt64BE(BigInt(table.handle));
  return request(nftMessages.deleteTable, table, encodeAttribute(tableHandle, handle));
}

function deletion(part: RulesetPart): NfnetlinkRequest {
  if (part.kind === 'chain')
    return request(nftMessages.deleteChain, part, encodeText(1, part.table), encodeText(3, part.name));
  const name = [encodeText(1, part.table), encodeText(2, part.name)];
  if (part.kind === 'set') return request(nftMessages.deleteSet, part, ...name);
  return request(
    nftMessages.deleteObject,
    part,
    ...name,
    encodeAttribute(objectAttributes.type, numberBytes(objectType(part))),
  );
}

function objectType({ bytes }: RulesetPart): number {
  let type = 0;
  eachAttribute(bytes, 0, bytes.length, (attribute, from) => {
    if (attribute === objectAttributes.type) type = bytes.readUInt32BE(from);
  });
  return type;
}

const creating = netlinkFlags.request | netlinkFlags.create;

function create(type: number, part: RulesetPart, ...attributes: readonly Buffer[]): NfnetlinkRequest {
  return { ...request(type, part, ...attributes), flags: creating };
}

function request(type: number, { family }: RulesetPart, ...attributes: readonly Buffer[]): NfnetlinkRequest {
  const payload = Buffer.concat([Buffer.from([family, 0, 0, 0]), ...attributes]);
  return { type, flags: netlinkFlags.request, payload };
}

function numberBytes(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

function isNamed({ kind }: RulesetPart): boolean {
  return kind === 'chain' || kind === 'set' || kind === 'object';
}

function isOneTable(a: RulesetPart, b: RulesetPart): boolean {
  return a.family === b.family && a.table === b.table;
}

function tablesOf(parts: readonly RulesetPart[]): readonly RulesetPart[] {
  return parts.filter(({ kind }) => kind === 'table');
}

function partsIn(table: RulesetPart, parts: readonly RulesetPart[]): readonly RulesetPart[] {
  return parts.filter((part) => isOneTable(table, part));
}

function sameOf(part: RulesetPart, parts: readonly RulesetPart[]): RulesetPart | undefined {
  return parts.find(({ kind, name }) => kind === part.kind && name === part.name);
}

/** Whether a rule uses the set of that name. */
function mentions(rule: RulesetPart, name: string): boolean {
  return rule.bytes.includes(`${name}\0`, 0, 'latin1');
}
