import { isTapwardenError } from '../base/index.ts';
import type { Chain, NftSet, Ruleset } from './model.ts';
import { checkRuleset, type NftTarget } from './nft.ts';

/** What a fence may be made of. `nft --check` asks the kernel for each; a version number would only guess. */
export type Feature = keyof typeof probes;

/** Which features the kernel has. */
export type Features = Readonly<Record<Feature, boolean>>;

/** Features without which no workload starts: with one of them missing, packets would get out, or hang. */
export const requiredFeatures = [
  'filter',
  'rejectReset',
  'rejectIcmp',
  'counter',
] as const satisfies readonly Feature[];

const output: Chain['hook'] = { type: 'filter', hook: 'output', priority: 'filter', policy: 'drop' };
const chainOf = (body: string, hook = output): readonly Chain[] => [
  { name: 'probe', hook, rules: [{ body, comment: 'feature probe' }] },
];
const limits: readonly NftSet[] = [
  { name: 'limits', type: 'ipv4_addr', flags: ['dynamic', 'timeout'], size: 16, timeoutS: 60 },
];

/** For each feature the smallest ruleset that needs it, and what it is for. */
export const probes = {
  filter: { purpose: 'inet tables with an output hook and policy drop', chains: chainOf('drop') },
  counter: { purpose: 'counts of refused packets', chains: chainOf('counter') },
  rejectReset: {
    purpose: 'TCP refused at once',
    chains: chainOf('meta l4proto tcp reject with tcp reset'),
  },
  rejectIcmp: { purpose: 'other protocols refused', chains: chainOf('reject with icmpx admin-prohibited') },
  log: { purpose: 'refused packets in the kernel log', chains: chainOf('log prefix "probe " level info flags skuid') },
  limit: { purpose: 'a bounded log rate', chains: chainOf('limit rate 10/second burst 10 packets') },
  dynamicSet: {
    purpose: 'counts and log limits for each destination',
    chains: chainOf('update @limits { ip daddr limit rate 5/second burst 5 packets }'),
    sets: limits,
  },
  execMark: {
    purpose: 'the command that a refused packet is of',
    chains: chainOf('meta mark set socket cgroupv2 level 1 map @marks'),
    sets: [{ name: 'marks', type: 'cgroupsv2', data: 'mark', size: 16 }],
  },
  conntrack: { purpose: 'replies told from new connections', chains: chainOf('ct state established accept') },
  masquerade: {
    purpose: 'direct rules',
    chains: chainOf('masquerade', { type: 'nat', hook: 'postrouting', priority: 'srcnat', policy: 'accept' }),
  },
} as const satisfies Readonly<Record<string, { purpose: string; chains: readonly Chain[]; sets?: readonly NftSet[] }>>;

/**
 * Asks the kernel for each feature. Nothing is loaded.
 *
 * @throws NFT_MISSING when there is no nft
 */
export async function probeFeatures(target: NftTarget): Promise<Features> {
  const names = Object.keys(probes) as Feature[];
  const results: [Feature, boolean][] = [];
  for (const name of names) results.push([name, await hasFeature(target, name)]);
  return Object.fromEntries(results) as Features;
}

async function hasFeature(target: NftTarget, name: Feature): Promise<boolean> {
  const probe: { chains: readonly Chain[]; sets?: readonly NftSet[] } = probes[name];
  const ruleset: Ruleset = {
    table: { family: 'inet', name: 'tapwarden_probe' },
    counters: [],
    sets: probe.sets ?? [],
    chains: probe.chains,
  };
  try {
    await checkRuleset(target, ruleset);
    return true;
  } catch (error) {
    if (isTapwardenError(error, 'NFT_REJECTED')) return false;
    throw error;
  }
}
