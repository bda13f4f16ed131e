import { escapeText } from '../../../base/index.ts';
import type { Pool } from '../pool.ts';
import type { Drop } from './evaluate.ts';
import { type Listing, nameIn } from './listing.ts';

/**
 * What an administrator can do about chains that drop direct traffic, a line each. tapwarden prints it and does none of
 * it: these tables belong to other programs. Example: for Docker's `FORWARD`, two lines `iptables -I DOCKER-USER …`.
 */
export function remediesFor(listing: Listing, pool: Pool, drops: readonly Drop[]): readonly string[] {
  return [...new Set(drops.flatMap((drop) => remedyFor(listing, pool, drop)))];
}

/** All of a host's ends of slots' veths, as iptables and as nft write it. */
const links = { iptables: 'twv+', nft: '"twv*"' } as const;

function remedyFor(listing: Listing, pool: Pool, { family, table, chain }: Drop): readonly string[] {
  if (table === 'firewalld') return firewalld(pool);
  // The chains of iptables-nft: rules of nft in them would make iptables refuse its own table.
  if (family !== 'inet' && chain === 'FORWARD') {
    const own = listing.chains.has(nameIn(family, table, 'DOCKER-USER')) ? 'DOCKER-USER' : chain;
    return iptables(family === 'ip6' ? 'ip6tables' : 'iptables', own);
  }
  const place = `${family} ${escapeText(table, 80)} ${escapeText(chain, 80)}`;
  return [
    `Let the chain accept it: nft insert rule ${place} iifname ${links.nft} accept`,
    `  and the replies: nft insert rule ${place} oifname ${links.nft} ct state established,related accept`,
  ];
}

function iptables(program: string, chain: string): readonly string[] {
  const whose = chain === 'DOCKER-USER' ? "Docker's chain for rules of yours" : 'the chain';
  return [
    `Let ${whose} accept it: ${program} -I ${chain} -i ${links.iptables} -j ACCEPT`,
    `  and the replies: ${program} -I ${chain} -o ${links.iptables} -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT`,
  ];
}

function firewalld(pool: Pool): readonly string[] {
  return [
    'Give slots a zone of firewalld:',
    '  firewall-cmd --permanent --new-zone=tapwarden',
    '  firewall-cmd --permanent --zone=tapwarden --set-target=ACCEPT',
    `  firewall-cmd --permanent --zone=tapwarden --add-source=${pool.cidr4} --add-source=${pool.cidr6}`,
    '  firewall-cmd --reload',
  ];
}
