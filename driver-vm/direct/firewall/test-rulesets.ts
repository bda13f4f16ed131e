import { readFileSync } from 'node:fs';
import type { NftObject } from '../../../nft/index.ts';
import type { Obstacle } from './check.ts';

/** What a host's tables in `testdata/` do to direct traffic, by name; what is not named here passes. */
export type ExpectedFate = {
  /** Whether the first packet of IPv4, of IPv6, and the replies to them come through; `'perhaps'` for a limit. */
  readonly original4: Fate;
  readonly original6: Fate;
  readonly reply4: Fate;
  readonly reply6: Fate;
  /** Every base chain that stands in the way, and what in it. */
  readonly chains: readonly string[];
  /** The first line of the advice. */
  readonly remedy?: string;
};

/** What becomes of a packet. */
export type Fate = 'passes' | 'dropped' | 'perhaps';

const passes: ExpectedFate = {
  original4: 'passes',
  original6: 'passes',
  reply4: 'passes',
  reply6: 'passes',
  chains: [],
};
const both = { original4: 'dropped', original6: 'dropped' } as const;

/** The rulesets `testdata/NAME.nft`, each with what nft lists of it in `testdata/NAME.json`. */
export const expectedFates: Readonly<Record<string, ExpectedFate>> = {
  accepting: passes,
  docker: {
    ...passes,
    original4: 'dropped',
    reply4: 'dropped',
    chains: ['ip filter FORWARD: its policy'],
    remedy: "Let Docker's chain for rules of yours accept it: iptables -I DOCKER-USER -i twv+ -j ACCEPT",
  },
  'docker-opened': passes,
  'early-drop': {
    ...passes,
    ...both,
    chains: ['inet guard prerouting: a rule of chain prerouting'],
    remedy: 'Let the chain accept it: nft insert rule inet guard prerouting iifname "twv*" accept',
  },
  firewalld: {
    ...passes,
    ...both,
    chains: ['inet firewalld filter_FORWARD: a rule of chain filter_FWD_public'],
    remedy: 'Give slots a zone of firewalld:',
  },
  'firewalld-zone': passes,
  'late-drop': {
    ...passes,
    original4: 'dropped',
    chains: ['ip guard postrouting: a rule of chain refused'],
    remedy: 'Let the chain accept it: nft insert rule ip guard postrouting iifname "twv*" accept',
  },
  limited: {
    ...passes,
    original4: 'perhaps',
    original6: 'perhaps',
    chains: ['inet guard forward: its policy'],
  },
  marked: passes,
  'policy-drop': {
    ...passes,
    ...both,
    reply4: 'dropped',
    reply6: 'dropped',
    chains: ['inet guard forward: its policy'],
    remedy: 'Let the chain accept it: nft insert rule inet guard forward iifname "twv*" accept',
  },
  'replies-dropped': {
    ...passes,
    reply4: 'dropped',
    reply6: 'dropped',
    chains: ['inet guard forward: its policy'],
    remedy: 'Let the chain accept it: nft insert rule inet guard forward iifname "twv*" accept',
  },
};

const folder = 'driver-vm/direct/firewall/testdata';

/** The file of a ruleset, as text for nft or as nft lists it. */
export const rulesetFile = (name: string, extension: 'nft' | 'json'): string => `${folder}/${name}.${extension}`;

/** What nft listed of a ruleset. */
export function recordedListing(name: string): readonly NftObject[] {
  const text = readFileSync(rulesetFile(name, 'json'), 'utf8');
  return JSON.parse(text) as readonly NftObject[];
}

/** Obstacles as {@link ExpectedFate} writes them. */
export function chainsOf(obstacles: readonly Obstacle[]): readonly string[] {
  const texts = obstacles.map(({ family, table, chain, by }) => `${family} ${table} ${chain}: ${by}`);
  return [...new Set(texts.map((text) => text.replace(/ \(handle \d+\)$/, '')))];
}
