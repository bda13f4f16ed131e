import { readFile } from 'node:fs/promises';
import { escapeText, type Run, TapwardenError } from '../../../base/index.ts';
import { listRuleset } from '../../../nft/index.ts';
import { knownRange } from '../../../policy/index.ts';
import type { Egress } from '../egress.ts';
import { hostTable } from '../host-table.ts';
import type { Pool } from '../pool.ts';
import { type Drop, evaluate } from './evaluate.ts';
import { type Listing, readListing } from './listing.ts';
import type { Packet } from './packet.ts';
import { remediesFor } from './remedy.ts';

/** What is asked of the host's other tables. */
export type FirewallQuestion = {
  /** The host's end of the slot's veth, which need not exist yet: `'twv7'`. */
  readonly link: string;
  readonly pool: Pool;
  readonly egress: readonly Egress[];
};

/** A base chain that stands in the way of direct rules, and of which. */
export type Obstacle = Drop & {
  /** The first of the direct rules, and how it would fail: `'udp 192.0.2.10/32 port 123 (rule ntp)'`. */
  readonly example: string;
  readonly rules: readonly string[];
  /** Whether it is in the way of what goes out, of the replies, or of both. */
  readonly directions: readonly Packet['direction'][];
};

/** What stands in the way; `complete` is that everything was looked at. */
export type FirewallAnswer = { readonly obstacles: readonly Obstacle[]; readonly complete: boolean };

/** Rules that are looked at for all destinations together: about two seconds. */
const maxSteps = 2_000_000;

/**
 * Finds out before a start whether other tables of the host let direct traffic pass: a packet that no table accepts goes
 * nowhere, and the workload would only see silence. What surely drops is an error; what may drop is a warning.
 *
 * @throws DIRECT_BLOCKED naming the base chains; the hint says what to do
 * @throws NFT_MISSING when there is no nft
 */
export async function checkHostFirewall(
  run: Run,
  question: FirewallQuestion & { readonly onWarning: (line: string) => void },
): Promise<void> {
  const listing = readListing(await listRuleset({ run }), [`${hostTable.family} ${hostTable.name}`]);
  const { obstacles, complete } = findObstacles(listing, question);
  const certain = obstacles.filter((obstacle) => obstacle.certain);
  if (certain.length > 0) throw blocked(listing, question, certain);
  const maybe = obstacles.map(describe);
  if (maybe.length > 0) question.onWarning(`another table of the host may drop direct traffic: ${maybe.join('; ')}`);
  if (!complete) question.onWarning('the host has too many rules to look at all of them for direct traffic');
  for (const { program, tables } of await readLegacyTables()) {
    question.onWarning(`${program} holds rules (${tables}) that nft does not show; they may drop direct traffic`);
  }
}

/** {@link checkHostFirewall} as a pure function of the listing. */
export function findObstacles(listing: Listing, question: FirewallQuestion): FirewallAnswer {
  const found = new Map<string, Obstacle>();
  let steps = 0;
  for (const { packet, rule, example } of packetsOf(question)) {
    if (steps > maxSteps) return { obstacles: [...found.values()], complete: false };
    const verdict = evaluate(listing, packet);
    steps += verdict.steps;
    for (const drop of verdict.drops) {
      const key = [drop.family, drop.table, drop.chain, drop.by, drop.certain].join(' ');
      const known = found.get(key);
      found.set(key, {
        ...drop,
        example: known?.example ?? (packet.direction === 'original' ? example : `replies from ${example}`),
        rules: [...new Set([...(known?.rules ?? []), rule])],
        directions: [...new Set([...(known?.directions ?? []), packet.direction])],
      });
    }
  }
  return { obstacles: [...found.values()], complete: true };
}

type Question = { readonly packet: Packet; readonly rule: string; readonly example: string };

/** The first packet of each direct destination, by each interface that it may leave by, and the reply to it. */
function* packetsOf({ link, pool, egress }: FirewallQuestion): Generator<Question> {
  for (const { destination, interfaces } of egress) {
    const { rule, protocol, cidr, ports } = destination;
    const isIp6 = cidr.includes(':');
    const [slot, world] = [knownRange(isIp6 ? pool.cidr6 : pool.cidr4), knownRange(cidr)];
    const example = `${protocolNames[protocol] ?? `protocol ${protocol}`} ${cidr}${portText(ports)} (rule ${rule})`;
    for (const oifname of interfaces) {
      const shared = { family: isIp6 ? 'ip6' : 'ip', protocol } as const;
      const range = ports ?? undefined;
      const ownPorts = ports === null ? undefined : unprivilegedPorts;
      const original = { direction: 'original', iifname: link, oifname, saddr: slot, daddr: world } as const;
      const reply = { direction: 'reply', iifname: oifname, oifname: link, saddr: world, daddr: slot } as const;
      yield { packet: { ...shared, ...original, sport: ownPorts, dport: range }, rule, example };
      yield { packet: { ...shared, ...reply, sport: range, dport: ownPorts }, rule, example };
    }
  }
}

/** The workload has no privilege, and masquerading keeps ports of this range in it. Source: nf_nat_core.c. */
const unprivilegedPorts = [1024, 65_535] as const;

const protocolNames: Readonly<Record<number, string>> = {
  1: 'icmp',
  6: 'tcp',
  17: 'udp',
  58: 'icmpv6',
  132: 'sctp',
  136: 'udplite',
};

function portText(ports: readonly [number, number] | null): string {
  if (ports === null) return '';
  return ports[0] === ports[1] ? ` port ${ports[0]}` : ` ports ${ports[0]}-${ports[1]}`;
}

function describe({ family, table, chain, by, example }: Obstacle): string {
  return `table ${family} ${escapeText(table, 80)}, chain ${escapeText(chain, 80)}, by ${escapeText(by, 120)}: ${example}`;
}

function blocked(listing: Listing, { pool }: FirewallQuestion, obstacles: readonly Obstacle[]): TapwardenError {
  const shown = obstacles.slice(0, 4).map(describe);
  const more = obstacles.length > shown.length ? `; and ${obstacles.length - shown.length} more` : '';
  return new TapwardenError('DIRECT_BLOCKED', {
    message: `Another table of the host drops what direct rules allow: ${shown.join('; ')}${more}`,
    hint: remediesFor(listing, pool, obstacles).join('\n'),
    details: { obstacles },
  });
}

/** The tables of iptables-legacy, which nft does not list. Source: net/netfilter/x_tables.c. */
async function readLegacyTables(): Promise<readonly { readonly program: string; readonly tables: string }[]> {
  const programs = [
    ['iptables-legacy', '/proc/net/ip_tables_names'],
    ['ip6tables-legacy', '/proc/net/ip6_tables_names'],
  ] as const;
  const read = programs.map(async ([program, path]) => {
    const names = await readFile(path, 'utf8').catch(() => '');
    // What nat does to these packets, conntrack undoes for the replies.
    const tables = names.split('\n').filter((name) => name !== '' && name !== 'nat');
    return { program, tables: tables.join(', ') };
  });
  return (await Promise.all(read)).filter(({ tables }) => tables !== '');
}
