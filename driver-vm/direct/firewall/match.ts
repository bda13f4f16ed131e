import type { Json } from './listing.ts';
import { allOf, anyOf, not, type Truth } from './packet.ts';
import { bitsOf, boundsOf, isObject, type Place, packetValue, rangeOf, type Value } from './value.ts';

/** Finds the elements of a named set or map of the rule's table; `undefined` when there is none of that name. */
export type FindElements = (name: string) => readonly Json[] | undefined;

/**
 * Whether a `match` statement holds for a packet: surely, surely not, or perhaps, where the packet stands for several or
 * the statement asks for what is not known here. Source: libnftables-json(5), MATCH.
 */
export function matchPacket(match: Json, place: Place, find: FindElements): Truth {
  if (!isObject(match)) return 'maybe';
  const value = packetValue(match['left'], place);
  if (value.kind === 'absent') return 'no';
  const { op, right } = match;
  if (op === '==' || op === 'in') return equals(value, right, op === 'in', find);
  if (op === '!=') return not(equals(value, right, false, find));
  return compare(value, String(op), right);
}

/** Whether a value equals the right side of a match, or a key of a map: one thing, a range, or any of a set. */
export function equals(value: Value, right: Json | undefined, asBits: boolean, find: FindElements): Truth {
  if (value.kind === 'absent') return 'no';
  if (isObject(right) && Array.isArray(right['set'])) {
    return anyOf(right['set'].map((element) => equals(value, bare(element), false, find)));
  }
  if (typeof right === 'string' && right.startsWith('@')) {
    const elements = find(right.slice(1));
    return elements === undefined ? 'maybe' : anyOf(elements.map((each) => equals(value, bare(each), false, find)));
  }
  switch (value.kind) {
    case 'unknown':
      return 'maybe';
    case 'list':
      return isObject(right) && Array.isArray(right['concat'])
        ? allOf(right['concat'].map((part, at) => equals(value.values[at] ?? { kind: 'unknown' }, part, false, find)))
        : 'maybe';
    case 'words':
      return anyOf(asList(right).map((word) => equalsWord(value.words, word)));
    case 'either': {
      const truths = value.words.map((one) => anyOf(asList(right).map((word) => equalsWord([one], word))));
      return truths.every((truth) => truth === truths[0]) ? (truths[0] ?? 'maybe') : 'maybe';
    }
    case 'addresses':
      return equalsAddress(value, right);
    case 'numbers':
      return equalsNumber(value, right, asBits);
  }
}

/** An element of a set without what goes with it: a counter, a time. */
export function bare(element: Json | undefined): Json | undefined {
  return isObject(element) && isObject(element['elem']) ? element['elem']['val'] : element;
}

/** Flags stand in a list, of which one is enough. */
function asList(right: Json | undefined): readonly (Json | undefined)[] {
  return Array.isArray(right) ? right : [right];
}

/** Interface names end in `*` where a rule stands for all that begin so. */
function equalsWord(words: readonly string[], right: Json | undefined): Truth {
  // Of a route, nft prints `false` or "0" for one that is missing.
  if (right === false) return 'no';
  if (right === true) return 'yes';
  if (typeof right !== 'string') return 'maybe';
  const isSame = (word: string): boolean =>
    right.endsWith('*') ? word.startsWith(right.slice(0, -1)) : word === right;
  return words.some(isSame) ? 'yes' : 'no';
}

function equalsAddress({ range }: Extract<Value, { kind: 'addresses' }>, right: Json | undefined): Truth {
  let low: bigint;
  let high: bigint;
  const one = rangeOf(right);
  if (one !== undefined) {
    if (one.bits !== range.bits) return 'no';
    [low, high] = boundsOf(one);
  } else if (isObject(right) && Array.isArray(right['range'])) {
    const ends = right['range'].map(rangeOf);
    if (ends[0]?.bits !== range.bits || ends[1] === undefined) return 'maybe';
    low = ends[0].base;
    high = ends[1].base;
  } else return 'maybe';
  return within(boundsOf(range), [low, high]);
}

function equalsNumber(value: Extract<Value, { kind: 'numbers' }>, right: Json | undefined, asBits: boolean): Truth {
  if (isObject(right) && Array.isArray(right['range'])) {
    const [low, high] = right['range'].map((end) => bitsOf(end, value.names));
    return low === undefined || high === undefined ? 'maybe' : within(value.range, [low, high]);
  }
  const wanted = bitsOf(right, value.names);
  if (wanted === undefined) return 'maybe';
  if (!asBits) return within(value.range, [wanted, wanted]);
  if (value.range[0] !== value.range[1]) return 'maybe';
  return (value.range[0] & wanted) === 0 ? 'no' : 'yes';
}

function compare(value: Value, op: string, right: Json | undefined): Truth {
  const bound = value.kind === 'numbers' ? bitsOf(right, value.names) : undefined;
  if (value.kind !== 'numbers' || bound === undefined) return 'maybe';
  const max = Number.MAX_SAFE_INTEGER;
  switch (op) {
    case '<':
      return within(value.range, [0, bound - 1]);
    case '<=':
      return within(value.range, [0, bound]);
    case '>':
      return within(value.range, [bound + 1, max]);
    case '>=':
      return within(value.range, [bound, max]);
    default:
      return 'maybe';
  }
}

/** Whether a range lies in another, beside it, or partly in it. */
function within<T extends number | bigint>([from, to]: readonly [T, T], [low, high]: readonly [T, T]): Truth {
  if (to < low || from > high) return 'no';
  return from >= low && to <= high ? 'yes' : 'maybe';
}
