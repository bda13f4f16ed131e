import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { isTapwardenError, kernelLogBytes, type Run, TapwardenError } from '../base/index.ts';
import { guestPaths } from '../init/contract.ts';
import {
  applyRuleset,
  applyRulesetOver,
  type DirectDestination,
  type Feature,
  hasIp6,
  probeFeatures,
  probes,
  requiredFeatures,
} from '../nft/index.ts';
import { workloadNet } from './addresses.ts';
import type { CompiledFence } from './compiled-fence.ts';
import { type ExecMarks, type FenceSpec, fenceRuleset, guestLineBurst } from './fence.ts';
import { guestRuleset } from './guest-table.ts';
import { place as ownPlace, type Place } from './place.ts';

/** What {@link loadFence} works from. */
export type FenceOptions = {
  readonly tag: string;
  readonly direct: readonly DirectDestination[];
  readonly allowUnlogged: boolean;
  readonly execs: ExecMarks;
  /** The same as the host compiled it, for a guest. @default it is made here */
  readonly compiled?: CompiledFence | null;
  /** @default the place of this process */
  readonly place?: Pick<Place, 'jail' | 'uplink'>;
};

/** The fence that was loaded: what of it the kernel could do. */
export type LoadedFence = Pick<FenceSpec, 'log' | 'account' | 'execs' | 'lineBurst'> & {
  /** Whether it is the one that the host compiled. */
  readonly compiled?: true;
};

/** Where the workload's network namespace is bound. */
export const workloadNamespacePath = `/run/netns/${workloadNet.namespace}`;

/**
 * How a program runs inside the workload's network namespace. In a guest this is busybox, which is static: under emulation
 * `ip netns exec` costs 50 to 100 ms each time, for what its libraries take to load.
 */
export const inWorkloadNamespace = ['nsenter', `--net=${workloadNamespacePath}`, '--'] as const;

/** Without it no rule outside the first network namespace logs. */
export const logSwitch = '/proc/sys/net/netfilter/nf_log_all_netns';

/**
 * Loads the guest's half of the fence: the table of the guest's own namespace, then the fence of the workload's. Says
 * whether refused packets are logged, counted by destination, and marked with their exec.
 *
 * What the host has compiled is tried first, then the whole ruleset with nft. Only when the kernel refuses that is each feature
 * asked for, and the fence made of those that are there. A fence that stands keeps its counts.
 *
 * @throws NFT_MISSING when the image has no nft
 * @throws LOG_UNAVAILABLE when the kernel cannot log and `allowUnlogged` is not set
 * @throws NFT_FEATURE_MISSING when the kernel cannot refuse or count, with the features by name
 * @throws NFT_REJECTED when the ruleset is refused for another reason
 */
export async function loadFence(run: Run, options: FenceOptions): Promise<LoadedFence> {
  const { direct, place = ownPlace } = options;
  if (direct.length > 0) await allowForwarding(run, direct);
  const compiled = await loadOfHost(options);
  if (compiled !== undefined) return compiled;
  // Two namespaces, which do not wait for each other: nft waits for the kernel longer than it works.
  const [own, fence] = await Promise.allSettled([
    applyRuleset({ run }, guestRuleset(direct, place.uplink)).catch((error) => explain(run, error)),
    loadWorkloadFence(run, options),
  ]);
  if (own.status === 'rejected') throw own.reason;
  if (fence.status === 'rejected') throw fence.reason;
  return fence.value;
}

/** What the host compiled, where the kernel takes it: it logs, counts and marks. */
async function loadOfHost({ compiled, execs }: FenceOptions): Promise<LoadedFence | undefined> {
  // An image without nft is none: what comes later, as new sets to count in, needs it, and that is to be said now.
  if (compiled === undefined || compiled === null || !existsSync(guestPaths.nft) || !(await isLogOn()))
    return undefined;
  const { loadCompiledFence } = await import('./compiled-fence.ts');
  const isLoaded = await loadCompiledFence(compiled, execs, { workload: workloadNamespacePath });
  return isLoaded ? { log: true, account: true, execs, compiled: true } : undefined;
}

async function isLogOn(): Promise<boolean> {
  return (await readFile(logSwitch, 'utf8').catch(() => '0')).trim() === '1';
}

async function loadWorkloadFence(run: Run, options: FenceOptions): Promise<LoadedFence> {
  const { place = ownPlace } = options;
  // The switch is in the kernel's first network namespace alone, where a jail's driver has seen to it.
  const log = place.jail?.logging ?? (await isLogOn());
  if (!log) checkUnlogged(options, `${logSwitch} is not 1`);
  const lines = log && place.jail !== undefined ? { lineBurst: lineBurstOf(await kernelLogBytes()) } : {};
  const whole: LoadedFence = { log, account: true, execs: options.execs, ...lines };
  try {
    await apply(run, options, whole);
    return whole;
  } catch (error) {
    if (!isTapwardenError(error, 'NFT_REJECTED')) throw error;
    const features = await probeFeatures({ run, enter: inWorkloadNamespace });
    const able: LoadedFence = {
      log: log && features.log && features.limit && features.dynamicSet,
      account: features.dynamicSet,
      execs: features.execMark ? options.execs : undefined,
      ...lines,
    };
    if (able.log === whole.log && able.account && able.execs !== undefined) return await explain(run, error);
    if (!able.log) checkUnlogged(options, 'the kernel refuses log rules, or the limits that they need');
    await apply(run, options, able).catch((second) => explain(run, second));
    return able;
  }
}

/**
 * Lines at once that fit well into a kernel log of so many bytes beside what else is written there; those of the fence
 * take a quarter of a kilobyte each. Example: of the 128 KiB that some kernels have, 128 lines take a quarter.
 */
export function lineBurstOf(bytes: number): number {
  return Math.max(64, Math.min(guestLineBurst, Math.floor(bytes / 1024)));
}

function checkUnlogged({ allowUnlogged }: FenceOptions, reason: string): void {
  if (allowUnlogged) return;
  throw new TapwardenError('LOG_UNAVAILABLE', {
    message: `Refused packets cannot be logged: ${reason}`,
    hint: 'Use a guest kernel with nft_log and nf_log_syslog, or accept refusals that nobody sees with --allow-unlogged.',
  });
}

async function apply(run: Run, { tag, direct }: FenceOptions, able: LoadedFence): Promise<void> {
  const ruleset = fenceRuleset({ tag, direct, generation: 'a', ...able });
  await applyRulesetOver({ run, enter: inWorkloadNamespace }, ruleset);
}

/** Names the features that the kernel lacks, where that is why it refused a ruleset. */
async function explain(run: Run, error: unknown): Promise<never> {
  if (!isTapwardenError(error, 'NFT_REJECTED')) throw error;
  const features = await probeFeatures({ run, enter: inWorkloadNamespace });
  const needed: readonly Feature[] = [...requiredFeatures, 'conntrack', 'masquerade'];
  const missing = needed.filter((name) => !features[name]);
  if (missing.length === 0) throw error;
  throw new TapwardenError('NFT_FEATURE_MISSING', {
    message: `The guest's kernel lacks ${missing.map((name) => `${name} (${probes[name].purpose})`).join(', ')}. ${error.message.split('\n')[0]}`,
    hint: 'No workload starts without them. Rebuild the guest image from a kernel that has them.',
    details: { missing },
    cause: error,
  });
}

/**
 * The guest forwards for direct rules only; its own table admits nothing but their destinations. By a command, like all
 * else here, so that a test which runs commands in a namespace of its own changes that one.
 */
async function allowForwarding(run: Run, direct: readonly DirectDestination[]): Promise<void> {
  await run(['sh', '-euc', forwardingScript], { env: { IP6: hasIp6(direct) ? '1' : '0' } });
}

const forwardingScript = `
echo 1 >/proc/sys/net/ipv4/ip_forward
[ "$IP6" = 0 ] || echo 1 >/proc/sys/net/ipv6/conf/all/forwarding
`;
