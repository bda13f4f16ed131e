/** The first and the last port of a range, both included. Example: `[8000, 8010]`; one port is `[443, 443]`. */
export type PortRange = readonly [from: number, to: number];

/**
 * An address range in canonical CIDR text, always with a prefix length and never with a host bit set.
 * Examples: `'10.1.2.0/24'`, `'192.0.2.10/32'`, `'2001:db8::1/128'`.
 */
export type Cidr = string;

/** A transport or network protocol that a direct rule can name. */
export type Protocol = keyof typeof protocolNumbers;

/** The number of each protocol in an IP header. Source: IANA "Protocol Numbers". */
export const protocolNumbers = {
  tcp: 6,
  udp: 17,
  udplite: 136,
  sctp: 132,
  icmp: 1,
  icmpv6: 58,
} as const satisfies Readonly<Record<string, number>>;

/** TCP destinations that may be reached through the proxy. At least one of `hosts` and `addresses` has an entry. */
export type ProxyRule = {
  readonly kind: 'proxy';
  /** Unique in its policy, of the form `[a-z0-9][a-z0-9._-]{0,62}`. */
  readonly name: string;
  /** Lower-case ASCII names, exact or with `*.` in front. Example: `['pypi.org', '*.pythonhosted.org']`. */
  readonly hosts: readonly string[];
  readonly addresses: readonly Cidr[];
  /** Never empty. */
  readonly ports: readonly PortRange[];
};

/** Destinations that packets may reach without the proxy, by network address translation. */
export type DirectRule = {
  readonly kind: 'direct';
  readonly name: string;
  /** Never empty. */
  readonly addresses: readonly Cidr[];
  readonly protocol: Protocol;
  /** Empty for `icmp` and `icmpv6`, which have no ports; never empty otherwise. */
  readonly ports: readonly PortRange[];
};

/** One rule of a policy. Rules only ever allow; what no rule allows is denied. */
export type Rule = ProxyRule | DirectRule;

/** A name that is answered from the policy and not by a resolver. The answers still pass the address check. */
export type StaticHost = {
  /** A lower-case ASCII name without wildcard. */
  readonly host: string;
  /** Canonical addresses without prefix length. Example: `['127.0.0.1', '2001:db8::1']`. */
  readonly addresses: readonly string[];
};

/**
 * An egress policy: plain data that survives JSON. What comes back from JSON goes through `parsePolicyModel`.
 *
 * Example: `{version: 1, resolve: [], rules: [{kind: 'proxy', name: 'packages', hosts: ['pypi.org'], addresses: [],
 * ports: [[443, 443]]}]}`
 */
export type Policy = {
  readonly version: 1;
  readonly resolve: readonly StaticHost[];
  readonly rules: readonly Rule[];
};

/** The policy that allows nothing: where callers begin that have only rules of the command line. */
export const denyAll: Policy = { version: 1, resolve: [], rules: [] };

/** What a policy may hold at most, so that checking and compiling one takes bounded time. */
export const policyLimits = {
  /** Bytes of a policy file. */
  fileBytes: 1024 * 1024,
  /** Lexical tokens of a policy file, spaces and line ends included: about 25,000 list entries. */
  tokens: 100_000,
  /** Nested YAML structures; the format needs about a dozen, because indented items count twice. */
  depth: 32,
  rules: 1000,
  /** Entries of one list: hosts, addresses, ports, answers. */
  items: 1000,
  directRules: 100,
  /** Sum over all direct rules of addresses times port ranges. */
  directPairs: 2000,
} as const;

/** A value, or what is wrong with the text that it was to be read from. Messages are safe to print. */
export type Checked<T> = { readonly kind: 'ok'; readonly value: T } | Refused;

/** Why a text was refused: a sentence without full stop, and what to write instead. */
export type Refused = { readonly kind: 'bad'; readonly message: string; readonly hint?: string };

/** Wraps a good value for {@link Checked}. */
export const ok = <T>(value: T): Checked<T> => ({ kind: 'ok', value });

/** Wraps a refusal for {@link Checked}. */
export const bad = (message: string, hint?: string): Refused =>
  hint === undefined ? { kind: 'bad', message } : { kind: 'bad', message, hint };
