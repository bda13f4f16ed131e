import ipaddr from 'ipaddr.js';
import { classifyAddress, type Destination, protocolName } from './destination.ts';

/** Where a refused packet was to go. */
export type RefusedTarget = {
  /** IANA protocol number. */
  readonly protocol: number;
  readonly ip: string;
  readonly port?: number;
};

/** The case that a refused packet is: packets of one case are refused for one reason, and helped in one way. */
export type AdviceKind =
  | 'metadata'
  | 'loopback'
  | 'neighbours'
  | 'dns'
  | 'ntp'
  | 'quic'
  | 'web'
  | 'ssh'
  | 'icmp'
  | 'private'
  | 'tcp'
  | 'direct'
  | 'never'
  | 'scan';

/** A sentence each for a person. */
export type Advice = {
  readonly kind: AdviceKind;
  /** Why the packet was refused. */
  readonly why: string;
  /** What to change in the program or in the policy. */
  readonly change: string;
};

/** Protocols that a direct rule can name, by IANA number. */
export const directProtocols: ReadonlyMap<number, string> = new Map([
  [1, 'icmp'],
  [6, 'tcp'],
  [17, 'udp'],
  [58, 'icmpv6'],
  [132, 'sctp'],
  [136, 'udplite'],
]);

/**
 * Why the fence refused a packet, and what its owner can do: the one source of what events and summaries say of it.
 *
 * Example: `adviceOf({protocol: 17, ip: '192.0.2.53', port: 53}).kind` is `'dns'`.
 */
export function adviceOf(target: RefusedTarget, destination: Destination = classifyAddress(target.ip)): Advice {
  const { protocol } = target;
  const kind = kindOf(target, destination);
  if (kind !== 'direct' && kind !== 'never') return destination.versionId === 6 ? advices6[kind] : advices[kind];
  const title = protocolTitle(protocol);
  if (kind === 'never') {
    return {
      kind,
      why: `Only the proxy leads out, and ${title} cannot pass it.`,
      change: 'No rule can allow this protocol: the program has to do without.',
    };
  }
  return {
    kind,
    why: `Only the proxy leads out, and ${title} cannot pass it.`,
    change: 'Add a direct rule for it to the policy if it is needed.',
  };
}

/** The advice for many ports of one address, where that of each port would say nothing. */
export const scanAdvice: Advice = {
  kind: 'scan',
  why: 'Only the proxy leads out.',
  change: 'So many ports of one address are a scan: look at what the program is for before anything is allowed.',
};

/** The advice in one text, for `status_detail`: of one case it is one and the same. */
export function adviceText(target: RefusedTarget, destination?: Destination): string {
  const advice = adviceOf(target, destination);
  return fixedTexts.get(advice) ?? `${advice.why} ${advice.change}`;
}

/** The protocol in a sentence: `UDP`, or `protocol 253` where it has no name. */
export function protocolTitle(protocol: number): string {
  const name = protocolName(protocol);
  return name === String(protocol) ? `protocol ${name}` : name.toUpperCase();
}

/**
 * What a program needs that ignores the variables of the proxy although most of its kind follow them; `undefined` where
 * nothing is known of it. `program` is the base name of an executable.
 */
export function programAdvice(program: string): string | undefined {
  if (/^node(?:js)?\d*$/.test(program)) return nodeAdvice;
  if (program === 'java') return javaAdvice;
  return /^(?:python|pypy)[\d.]*$/.test(program) ? pythonAdvice : undefined;
}

/** Source: https://nodejs.org/api/cli.html, NODE_USE_ENV_PROXY; release notes of Node.js 22.21.0, 24.0.0 and 24.5.0. */
const nodeAdvice =
  'Node.js uses the proxy with NODE_USE_ENV_PROXY=1 only, from 22.21 and from 24.5 on (24.0: fetch alone); a sandbox sets it, so a Node.js that goes past it is older, lost the variable, or brings an HTTP client of its own.';
/** Source: Java SE, java.net, "Networking Properties". */
const javaAdvice =
  'Java does not read the variables: start it with -Dhttp.proxyHost, -Dhttp.proxyPort, -Dhttps.proxyHost and -Dhttps.proxyPort.';
/** Source: aiohttp, "Advanced Client Usage", proxy support. */
const pythonAdvice =
  'urllib, requests and httpx follow the variables; aiohttp does with trust_env=True, and a socket of its own never does.';

type FixedKind = Exclude<AdviceKind, 'direct' | 'never' | 'scan'>;

const texts: Readonly<Record<FixedKind, readonly [why: string, change: string]>> = {
  metadata: [
    'The cloud metadata service hands out credentials and is closed to sandboxes.',
    'Give the workload what it needs explicitly, for example by --env.',
  ],
  loopback: ['Nothing but the proxy can be reached on loopback through the fence.', 'Use HTTPS_PROXY.'],
  neighbours: [
    'There are no neighbours: multicast, broadcast and link-local packets go nowhere.',
    'Nothing needs to be allowed; switch discovery off in the program if it should be quiet.',
  ],
  dns: [
    'Look-ups do not leave the sandbox; the proxy resolves names.',
    'Send requests through HTTPS_PROXY with the name in them; a program that resolves names itself goes past the proxy.',
  ],
  ntp: [
    'NTP does not leave the sandbox; the guest keeps time by its virtual clock.',
    'Switch time synchronisation off in the program, or add a direct rule.',
  ],
  quic: [
    'QUIC (HTTP/3) cannot pass the proxy.',
    'Nothing needs to be allowed: make the program honour HTTPS_PROXY, and switch HTTP/3 off where it does not fall back to TCP.',
  ],
  web: [
    'The program did not use the proxy.',
    'Make it honour HTTP_PROXY and HTTPS_PROXY, and allow the host by its name in the policy.',
  ],
  ssh: [
    'SSH does not use the proxy.',
    'Let git use https:// and allow the host, give ssh a ProxyCommand that sends CONNECT to the proxy, or add a direct rule.',
  ],
  icmp: [
    'Ping never goes out: ICMP cannot pass the proxy.',
    'Ask for a page through the proxy to see whether a host answers; only a direct rule lets ICMP out.',
  ],
  private: [
    'Private addresses are closed, and only the proxy leads out.',
    'List the address in a rule of the policy and use CONNECT through HTTPS_PROXY, or add a direct rule.',
  ],
  tcp: [
    'Only the proxy leads out.',
    'Use CONNECT through HTTPS_PROXY with the host allowed in the policy, or add a direct rule.',
  ],
};

/** Cases in which a program may think that the other family would be let through. */
const family: readonly FixedKind[] = ['web', 'tcp', 'ssh'];

const advices = made(() => '');
const advices6 = made((kind) =>
  family.includes(kind) ? ' IPv6 is no way around the proxy, which reaches names of either family.' : '',
);

function made(more: (kind: FixedKind) => string): Readonly<Record<FixedKind, Advice>> {
  const entries = Object.entries(texts) as [FixedKind, readonly [string, string]][];
  return Object.fromEntries(
    entries.map(([kind, [why, change]]) => [kind, Object.freeze({ kind, why, change: `${change}${more(kind)}` })]),
  ) as unknown as Readonly<Record<FixedKind, Advice>>;
}

const fixedTexts: ReadonlyMap<Advice, string> = new Map(
  [...Object.values(advices), ...Object.values(advices6)].map((advice) => [advice, `${advice.why} ${advice.change}`]),
);

function kindOf(
  { protocol, ip, port }: RefusedTarget,
  { isMetadata, boundaryId, versionId }: Destination,
): FixedKind | 'direct' | 'never' {
  if (isMetadata) return 'metadata';
  if (boundaryId === 1) return 'loopback';
  const isTcp = protocol === 6;
  const isUdp = protocol === 17;
  if ((isTcp || isUdp) && (port === 53 || port === 853)) return 'dns';
  // Names of the local network, which are asked for by multicast. Source: RFC 6762, RFC 4795.
  if (isUdp && (port === 5353 || port === 5355)) return 'dns';
  if (isNeighbour(ip, boundaryId, versionId)) return 'neighbours';
  if (isUdp && port === 123) return 'ntp';
  if (isTcp && port === 22) return 'ssh';
  if (isTcp && boundaryId === 2) return 'private';
  if (isUdp && port === 443) return 'quic';
  if (isTcp) return port === 80 || port === 443 ? 'web' : 'tcp';
  if (protocol === 1 || protocol === 58) return 'icmp';
  return directProtocols.has(protocol) ? 'direct' : 'never';
}

/** Whether an address is one of a link, or of a group: where a packet to it would go depends on where it is sent. */
function isNeighbour(ip: string, boundaryId: number, versionId: 4 | 6): boolean {
  if (versionId === 6 && /^ff/i.test(ip)) return true;
  if (boundaryId === 2) {
    const range = ipaddr.process(ip).range();
    return range === 'multicast' || range === 'broadcast' || range === 'linkLocal' || range === 'unspecified';
  }
  // Multicast of global scope, 224.0.1.0 to 238.255.255.255.
  return versionId === 4 && /^2(?:2[4-9]|3\d)\./.test(ip);
}
