import { type AddressRange, type PortRange, parseAddress } from '../../../policy/index.ts';
import type { Json } from './listing.ts';
import type { HookName, Packet } from './packet.ts';

/** What a packet has where a rule looks. Numbers and ports are ranges, `[22, 22]` for one. */
export type Value =
  /** A name, and other names for the same. */
  | { readonly kind: 'words'; readonly words: readonly string[] }
  /** One name of several; which is not known. */
  | { readonly kind: 'either'; readonly words: readonly string[] }
  | { readonly kind: 'numbers'; readonly range: PortRange; readonly names?: Readonly<Record<string, number>> }
  | { readonly kind: 'addresses'; readonly range: AddressRange }
  | { readonly kind: 'list'; readonly values: readonly Value[] }
  /** The packet has none, so that a rule which asks for it does not match, not even by `!=`. */
  | { readonly kind: 'absent' }
  | { readonly kind: 'unknown' };

/** What rules do to a packet, and later rules see. */
export type Marks = {
  /** The packet's mark; `undefined` when it is not known. */
  readonly mark: number | undefined;
  /** Whether conntrack knows the packet's state: a `notrack` that may have run makes it unknown. */
  readonly tracked: boolean;
};

/** A packet at one place on its way. */
export type Place = { readonly packet: Packet; readonly hook: HookName; readonly marks: Marks };

const unknown: Value = { kind: 'unknown' };
const absent: Value = { kind: 'absent' };
const words = (...names: readonly string[]): Value => ({ kind: 'words', words: names });
const number = (value: number, names?: Readonly<Record<string, number>>): Value => ({
  kind: 'numbers',
  range: [value, value],
  ...(names === undefined ? {} : { names }),
});

/** Protocols as nft names them. Source: IANA "Protocol Numbers"; /etc/protocols. */
const protocols: Readonly<Record<string, number>> = {
  icmp: 1,
  igmp: 2,
  tcp: 6,
  udp: 17,
  dccp: 33,
  gre: 47,
  esp: 50,
  ah: 51,
  icmpv6: 58,
  'ipv6-icmp': 58,
  ospf: 89,
  pim: 103,
  comp: 108,
  vrrp: 112,
  sctp: 132,
  udplite: 136,
};

/** Source: RFC 9293, section 3.1. */
const tcpFlags: Readonly<Record<string, number>> = {
  fin: 1,
  syn: 2,
  rst: 4,
  psh: 8,
  ack: 16,
  urg: 32,
  ecn: 64,
  cwr: 128,
};

/** What the left side of a match stands for. Source: libnftables-json(5), EXPRESSIONS. */
export function packetValue(expression: Json | undefined, place: Place): Value {
  if (!isObject(expression)) return unknown;
  const [kind, body] = Object.entries(expression)[0] ?? [];
  if (kind === 'meta' && isObject(body)) return metaValue(String(body['key']), place);
  if (kind === 'payload' && isObject(body)) {
    return payloadValue(String(body['protocol']), String(body['field']), place.packet);
  }
  if (kind === 'ct' && isObject(body)) return conntrackValue(String(body['key']), place);
  if (kind === 'fib' && isObject(body)) return fibValue(body, place.packet);
  if (kind === 'concat' && Array.isArray(body)) {
    return { kind: 'list', values: body.map((part) => packetValue(part, place)) };
  }
  if (kind === '&' && Array.isArray(body)) return maskedValue(packetValue(body[0], place), body[1]);
  return unknown;
}

function metaValue(key: string, { packet, hook, marks }: Place): Value {
  switch (key) {
    case 'iif':
    case 'iifname':
      return words(packet.iifname);
    case 'oif':
    case 'oifname':
      return hook === 'prerouting' ? absent : words(packet.oifname);
    case 'nfproto':
      return words(packet.family === 'ip' ? 'ipv4' : 'ipv6');
    case 'protocol':
      return words(packet.family);
    case 'l4proto':
      return number(packet.protocol, protocols);
    case 'mark':
      return marks.mark === undefined ? unknown : number(marks.mark);
    case 'pkttype':
      return words('host', 'unicast');
    case 'skuid':
    case 'skgid':
    case 'cgroup':
      // A packet that is forwarded belongs to no socket.
      return absent;
    default:
      return unknown;
  }
}

function payloadValue(protocol: string, field: string, packet: Packet): Value {
  if (protocol === 'ip' || protocol === 'ip6') {
    if (protocol !== packet.family) return absent;
    if (field === 'saddr') return { kind: 'addresses', range: packet.saddr };
    if (field === 'daddr') return { kind: 'addresses', range: packet.daddr };
    return field === 'protocol' || field === 'nexthdr' ? number(packet.protocol, protocols) : unknown;
  }
  if (protocol !== 'th') {
    const own = protocols[protocol];
    if (own === undefined) return unknown;
    if (own !== packet.protocol) return absent;
  }
  if (field === 'sport' || field === 'dport') {
    const range = packet[field];
    return range === undefined ? unknown : { kind: 'numbers', range };
  }
  // The first packet of a connection, and the answer to it.
  if (protocol === 'tcp' && field === 'flags') return number(packet.direction === 'original' ? 2 : 18, tcpFlags);
  return unknown;
}

function conntrackValue(key: string, { packet, marks }: Place): Value {
  if (!marks.tracked) return unknown;
  if (key === 'state') return words(packet.direction === 'original' ? 'new' : 'established');
  if (key === 'direction') return words(packet.direction);
  // Nothing has been translated when the first packet is forwarded. Of its reply the translation is ours.
  if (key === 'status' && packet.direction === 'original') return words('(none)');
  return unknown;
}

/** Routes of the host: direct destinations are none of its own addresses, and a slot's address has a route. */
function fibValue(body: { readonly [key: string]: Json }, packet: Packet): Value {
  const flags = Array.isArray(body['flags']) ? body['flags'] : [body['flags'] ?? ''];
  if (body['result'] === 'type') {
    const asked = flags.includes('daddr') ? packet.daddr : packet.saddr;
    // A range may hold the broadcast address of a network of the host.
    return asked.prefix === asked.bits ? words('unicast') : { kind: 'either', words: ['unicast', 'broadcast'] };
  }
  if (body['result'] === 'oif' && flags.includes('saddr') && packet.direction === 'original') {
    return words(packet.iifname);
  }
  return unknown;
}

function maskedValue(value: Value, mask: Json | undefined): Value {
  if (value.kind !== 'numbers') return value.kind === 'absent' ? absent : unknown;
  const bits = bitsOf(mask, value.names);
  if (bits === undefined || value.range[0] !== value.range[1]) return unknown;
  return number((value.range[0] & bits) >>> 0, value.names);
}

/** A number, the name of one, or several of them joined: `['syn', 'rst']` of TCP flags is 6. */
export function bitsOf(json: Json | undefined, names: Readonly<Record<string, number>> = {}): number | undefined {
  if (typeof json === 'number') return json;
  if (typeof json === 'string') return names[json] ?? (/^\d+$/.test(json) ? Number(json) : undefined);
  const parts = Array.isArray(json) ? json : isObject(json) && Array.isArray(json['|']) ? json['|'] : undefined;
  if (parts === undefined) return undefined;
  const bits = parts.map((part) => bitsOf(part, names));
  return bits.every((bit) => bit !== undefined) ? bits.reduce((sum, bit) => (sum | bit) >>> 0, 0) : undefined;
}

/** An address or a network as nft prints it; host bits of a network are none of it. */
export function rangeOf(json: Json | undefined): AddressRange | undefined {
  const { addr, len } = isObject(json) && isObject(json['prefix']) ? json['prefix'] : { addr: json, len: undefined };
  const address = typeof addr === 'string' ? parseAddress(addr) : undefined;
  if (address === undefined || len === undefined) return address;
  if (typeof len !== 'number' || len < 0 || len > address.bits) return undefined;
  const hostBits = BigInt(address.bits - len);
  return { bits: address.bits, base: (address.base >> hostBits) << hostBits, prefix: len };
}

/** The lowest and the highest address of a range. */
export function boundsOf({ bits, base, prefix }: AddressRange): readonly [bigint, bigint] {
  return [base, base + (1n << BigInt(bits - prefix)) - 1n];
}

/** Whether a JSON value is an object. */
export function isObject(json: Json | undefined): json is { readonly [key: string]: Json } {
  return json !== null && typeof json === 'object' && !Array.isArray(json);
}
