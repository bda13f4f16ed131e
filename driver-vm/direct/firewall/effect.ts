import type { Json } from './listing.ts';
import { bare, equals, type FindElements, matchPacket } from './match.ts';
import type { Truth } from './packet.ts';
import { bitsOf, isObject, type Marks, type Place, packetValue } from './value.ts';

/** Where a statement sends a packet. */
export type Effect = {
  /** Whether the rule goes on behind the statement: a match that does not hold ends it. */
  readonly truth: Truth;
  /** What may happen to the packet; more than one where it is not known. Empty for a statement that decides nothing. */
  readonly verdicts: readonly RuleVerdict[];
  /** Whether the rule's next statement may be reached behind the verdicts. */
  readonly passes: boolean;
  /** The packet's marks from here on, where the statement changes them. */
  readonly marks?: Marks;
};

/** One thing that a rule may decide; `next` is to go on with the next rule. */
export type RuleVerdict =
  | { readonly kind: 'accept' | 'drop' | 'return' | 'next' }
  | { readonly kind: 'jump' | 'goto'; readonly target: string };

/** Statements that decide nothing about the packet. */
const harmless: ReadonlySet<string> = new Set([
  'counter',
  'log',
  'ct helper',
  'ct timeout',
  'ct expectation',
  'dup',
  'flow',
  'last',
  'secmark',
]);

/** Statements that end a rule for some packets and not for others. */
const limiting: ReadonlySet<string> = new Set(['limit', 'quota', 'ct count', 'meter', 'set', 'map']);

const goesOn = (truth: Truth): Effect => ({ truth, verdicts: [], passes: true });
const decides = (...verdicts: readonly RuleVerdict[]): Effect => ({ truth: 'yes', verdicts, passes: false });
/** The packet may be dropped, may be let through, or may be left to the next rule. */
const anything = decides({ kind: 'drop' }, { kind: 'accept' }, { kind: 'next' });

/**
 * What one statement of a rule does to a packet; `rest` is what follows it in the rule.
 * Source: libnftables-json(5), STATEMENTS.
 */
export function effectOf(statement: Json, rest: readonly Json[], place: Place, find: FindElements): Effect {
  if (!isObject(statement)) return anything;
  const [kind, body] = Object.entries(statement)[0] ?? [];
  if (kind === undefined || body === undefined) return anything;
  if (harmless.has(kind)) return goesOn('yes');
  if (limiting.has(kind)) return goesOn('maybe');
  switch (kind) {
    case 'match':
      return goesOn(matchPacket(body, place, find));
    case 'vmap':
      return mapEffect(body, place, find);
    case 'mangle':
      return mangleEffect(body, place);
    case 'notrack':
      return { ...goesOn('yes'), marks: { ...place.marks, tracked: false } };
    case 'snat':
    case 'masquerade':
      return decides({ kind: 'accept' });
    case 'dnat':
    case 'redirect':
    case 'tproxy':
    case 'synproxy':
    case 'fwd':
    case 'queue':
      // It goes somewhere else, or a program decides.
      return decides({ kind: 'drop' }, { kind: 'accept' });
    case 'xt':
      return extensionEffect(body, rest, place);
    default: {
      const verdict = verdictOf(statement);
      return verdict === undefined ? anything : decides(verdict);
    }
  }
}

function verdictOf(json: Json | undefined): RuleVerdict | undefined {
  if (!isObject(json)) return undefined;
  const [kind, body] = Object.entries(json)[0] ?? [];
  switch (kind) {
    case 'accept':
    case 'drop':
    case 'return':
      return { kind };
    case 'reject':
      return { kind: 'drop' };
    case 'continue':
      return { kind: 'next' };
    case 'jump':
    case 'goto':
      return isObject(body) && typeof body['target'] === 'string' ? { kind, target: body['target'] } : undefined;
    default:
      return undefined;
  }
}

/** A verdict map: the verdict of the one key that the packet has, or of each that it may have. */
function mapEffect(body: Json, place: Place, find: FindElements): Effect {
  if (!isObject(body)) return anything;
  const { key, data } = body;
  const value = packetValue(key, place);
  if (value.kind === 'absent') return goesOn('no');
  const pairs = typeof data === 'string' ? find(data.slice(1)) : isObject(data) ? data['set'] : undefined;
  if (!Array.isArray(pairs)) return anything;
  const candidates = pairs.flatMap((pair) => {
    const [wanted, verdict] = Array.isArray(pair) ? pair : [];
    const truth = equals(value, bare(wanted), false, find);
    return truth === 'no' ? [] : [{ truth, verdict: verdictOf(verdict) }];
  });
  const found = candidates.find(({ truth }) => truth === 'yes') ?? undefined;
  const possible = found === undefined ? candidates : [found];
  if (possible.length === 0) return goesOn('no');
  const verdicts = possible.flatMap(({ verdict }) => (verdict === undefined ? anything.verdicts : [verdict]));
  return { truth: found === undefined ? 'maybe' : 'yes', verdicts, passes: false };
}

function mangleEffect(body: Json, place: Place): Effect {
  if (!isObject(body) || !isObject(body['key']) || !isObject(body['key']['meta'])) return goesOn('yes');
  if (body['key']['meta']['key'] !== 'mark') return goesOn('yes');
  return { ...goesOn('yes'), marks: { ...place.marks, mark: newMark(body['value'], place) } };
}

/** The mark that a statement sets: a number, or the old mark with bits changed. */
function newMark(value: Json | undefined, place: Place): number | undefined {
  if (typeof value === 'number') return value;
  if (!isObject(value)) return undefined;
  const [operator, operands] = Object.entries(value)[0] ?? [];
  if (!Array.isArray(operands)) {
    const old = packetValue(value, place);
    return old.kind === 'numbers' && old.range[0] === old.range[1] ? old.range[0] : undefined;
  }
  const left = newMark(operands[0], place);
  const right = bitsOf(operands[1]);
  if (left === undefined || right === undefined) return undefined;
  if (operator === '|') return (left | right) >>> 0;
  if (operator === '&') return (left & right) >>> 0;
  return operator === '^' ? (left ^ right) >>> 0 : undefined;
}

/**
 * An extension of iptables-nft. nft 1.0.6 prints no name (`{"xt": null}`), newer ones type and name. With a verdict
 * behind it, it is a match; the last statement of a rule is the target.
 */
function extensionEffect(body: Json, rest: readonly Json[], place: Place): Effect {
  const name = isObject(body) && typeof body['name'] === 'string' ? body['name'] : '';
  if (name === 'comment') return goesOn('yes');
  const type = isObject(body) ? body['type'] : undefined;
  if (type === 'match' || rest.some((statement) => verdictOf(statement) !== undefined)) return goesOn('maybe');
  if (name === 'REJECT') return decides({ kind: 'drop' });
  if (name === 'MASQUERADE' || name === 'SNAT') return decides({ kind: 'accept' });
  if (['LOG', 'NFLOG', 'TCPMSS', 'CHECKSUM', 'AUDIT', 'CLASSIFY'].includes(name)) return goesOn('yes');
  const unmarked = { ...place.marks, mark: undefined };
  if (name === 'MARK' || name === 'CONNMARK') return { ...goesOn('yes'), marks: unmarked };
  return { ...anything, marks: unmarked };
}
