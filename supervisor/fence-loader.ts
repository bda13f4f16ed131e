import { readFile } from 'node:fs/promises';
import { isTapwardenError, type Run, TapwardenError } from '../base/index.ts';
import { guestPaths } from '../init/contract.ts';
import {
  applyRuleset,
  type DirectDestination,
  type Feature,
  hasIp6,
  probeFeatures,
  probes,
  requiredFeatures,
} from '../nft/index.ts';
import { workloadNet } from './addresses.ts';
import { fenceRuleset } from './fence.ts';
import { guestRuleset } from './guest-table.ts';

/** What {@link loadFence} works from. */
export type FenceOptions = {
  readonly tag: string;
  readonly direct: readonly DirectDestination[];
  readonly allowUnlogged: boolean;
};

/**
 * How a program runs inside the workload's network namespace. By busybox, which is static: under emulation `ip netns exec`
 * costs a guest 50 to 100 ms each time, for what its libraries take to load.
 */
export const inWorkloadNamespace = [
  guestPaths.busybox,
  'nsenter',
  `--net=/run/netns/${workloadNet.namespace}`,
  '--',
] as const;

const logSwitch = '/proc/sys/net/netfilter/nf_log_all_netns';

/**
 * Loads the guest's half of the fence: the table of the guest's own namespace, then the fence of the workload's. Says
 * whether refused packets are logged.
 *
 * The whole ruleset is tried first; only when the kernel refuses it is each feature asked for, to say which is missing.
 *
 * @throws NFT_MISSING when the image has no nft
 * @throws LOG_UNAVAILABLE when the kernel cannot log and `allowUnlogged` is not set
 * @throws NFT_FEATURE_MISSING when the kernel cannot refuse or count, with the features by name
 * @throws NFT_REJECTED when the ruleset is refused for another reason
 */
export async function loadFence(run: Run, options: FenceOptions): Promise<{ readonly logging: boolean }> {
  if (options.direct.length > 0) await allowForwarding(run, options.direct);
  await applyRuleset({ run }, guestRuleset(options.direct)).catch((error) => explain(run, error));
  const logging = (await readFile(logSwitch, 'utf8').catch(() => '0')).trim() === '1';
  if (!logging) return await loadUnlogged(run, options, `${logSwitch} is not 1`);
  try {
    await apply(run, options, true);
    return { logging: true };
  } catch (error) {
    if (!isTapwardenError(error, 'NFT_REJECTED')) throw error;
    const features = await probeFeatures({ run, enter: inWorkloadNamespace });
    if (features.log && features.limit && features.dynamicSet) return await explain(run, error);
    return await loadUnlogged(run, options, 'the kernel refuses log rules, or the limits that they need');
  }
}

async function loadUnlogged(run: Run, options: FenceOptions, reason: string): Promise<{ readonly logging: boolean }> {
  if (!options.allowUnlogged) {
    throw new TapwardenError('LOG_UNAVAILABLE', {
      message: `Refused packets cannot be logged: ${reason}`,
      hint: 'Use a guest kernel with nft_log and nf_log_syslog, or accept refusals that nobody sees with --allow-unlogged.',
    });
  }
  await apply(run, options, false).catch((error) => explain(run, error));
  return { logging: false };
}

async function apply(run: Run, options: FenceOptions, log: boolean): Promise<void> {
  await applyRuleset(
    { run, enter: inWorkloadNamespace },
    fenceRuleset({ tag: options.tag, direct: options.direct, log }),
  );
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
