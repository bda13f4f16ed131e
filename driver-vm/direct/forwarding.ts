import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf, list, messageOf, object, readShape, TapwardenError, text } from '../../base/index.ts';
import type { Paths } from '../paths.ts';
import {
  type ForwardingFacts,
  type ForwardingPlan,
  host4,
  planForwarding,
  type Switch,
  slotSwitches,
  switchesOf,
} from './forwarding-plan.ts';
import type { HostNetwork } from './host-network.ts';

/** What the host was before direct egress, on disk, so that it is put back after a `kill -9` too. */
type ForwardingRecord = {
  /** The boot and the network namespace that the switches are of: they are gone with either. */
  readonly boot: string;
  readonly namespace: string;
  readonly switches: readonly Switch[];
};

const recordShape = object({
  boot: text(64),
  namespace: text(64),
  switches: list(
    object({
      path: text(64, /^net\/ipv[46]\/conf\/(?!\.\.?\/)[^/]{1,15}\/(?:force_)?forwarding$/),
      former: text(3, /^\d+$/),
    }),
    10_000,
  ),
});

/**
 * One file for each network namespace that tapwarden takes for its host: two of them may share a state directory, and
 * neither must take the other's record for a stale one of its own.
 */
async function recordFile(paths: Paths): Promise<string> {
  return join(paths.stateDir, `forwarding-${(await stat('/proc/self/ns/net')).ino}.json`);
}

/** The switches that stand otherwise than before direct egress; none when nothing does. The caller holds the lock. */
export async function readChanges(paths: Paths): Promise<readonly Switch[]> {
  const record = await readRecord(paths);
  return record?.switches ?? [];
}

/** What direct egress asks of the host. */
export type ForwardingNeeds = Pick<ForwardingFacts, 'egress4' | 'egress6'> & {
  /** Whether IPv6 may be switched on by interface, where the kernel can. */
  readonly ip6ByLink: boolean;
};

/**
 * Reads how the host stands and plans what has to change; nothing is changed.
 *
 * @throws FORWARDING_UNSAFE as {@link planForwarding}
 */
export async function readForwardingPlan(
  network: HostNetwork,
  { egress4, egress6, ip6ByLink }: ForwardingNeeds,
): Promise<ForwardingPlan> {
  const all6 = await readdir('/proc/sys/net/ipv6/conf').catch(() => []);
  const paths = [
    ...switchesOf(egress4, ip6ByLink ? egress6 : []),
    ...all6.map((link) => `net/ipv6/conf/${link}/forwarding`),
  ];
  const values = new Map<string, string>();
  for (const path of paths) {
    const value = await readSwitch(path);
    if (value !== undefined) values.set(path, value);
  }
  const learning: string[] = [];
  for (const link of new Set(network.routes.filter((route) => route.advertised).flatMap((route) => route.interfaces))) {
    if ((await readSwitch(`net/ipv6/conf/${link}/accept_ra`)) === '1') learning.push(link);
  }
  return planForwarding({ egress4, egress6, values, advertised: learning });
}

/**
 * Lets the host forward: what stood before is on disk first. The caller holds the lock.
 *
 * @throws SLOT_FAILED when a switch cannot be set
 */
export async function openForwarding(
  paths: Paths,
  plan: ForwardingPlan,
  slotLink: string,
  withIp6: boolean,
): Promise<void> {
  const known = await readChanges(paths);
  const fresh = plan.changes.filter(({ path }) => !known.some((change) => change.path === path));
  if (fresh.length > 0) await writeRecord(paths, [...known, ...fresh]);
  for (const path of plan.turnOn) await writeSwitch(path, '1');
  for (const path of slotSwitches(slotLink, withIp6)) {
    if ((await readSwitch(path)) === '0') await writeSwitch(path, '1');
  }
}

/**
 * Puts everything back that direct egress changed. An interface of a host that somebody else made a router meanwhile
 * stays one. The caller holds the lock.
 *
 * @throws SLOT_FAILED when a switch cannot be set; the record stays
 */
export async function closeForwarding(paths: Paths): Promise<void> {
  const isRouter = (await readSwitch(host4)) === '1';
  for (const { path, former } of await readChanges(paths)) {
    const value = await readSwitch(path);
    const isOthers = isRouter && path.startsWith('net/ipv4/');
    if (value !== undefined && value !== former && !isOthers) await writeSwitch(path, former);
  }
  await rm(await recordFile(paths), { force: true });
}

async function readRecord(paths: Paths): Promise<ForwardingRecord | undefined> {
  const file = await recordFile(paths);
  let content: string;
  try {
    content = await readFile(file, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
  const record = readShape(recordShape, parseJson(content, file), file, 'FILE_UNREADABLE');
  const { boot, namespace } = await whereabouts();
  return record.boot === boot && record.namespace === namespace ? record : undefined;
}

function parseJson(content: string, file: string): unknown {
  try {
    return JSON.parse(content);
  } catch (cause) {
    throw new TapwardenError('FILE_UNREADABLE', {
      message: `${file} says how the host stood before direct egress, and cannot be read: ${messageOf(cause)}`,
      hint: 'Look at the net.*.conf.*.forwarding switches of the host, then delete the file.',
      cause,
    });
  }
}

async function writeRecord(paths: Paths, switches: readonly Switch[]): Promise<void> {
  const record: ForwardingRecord = { ...(await whereabouts()), switches };
  await mkdir(paths.stateDir, { recursive: true });
  const file = await recordFile(paths);
  const fresh = `${file}.new`;
  await writeFile(fresh, JSON.stringify(record), { mode: 0o600, flush: true });
  await rename(fresh, file);
}

/** Names the boot and the network namespace of this process. */
async function whereabouts(): Promise<Pick<ForwardingRecord, 'boot' | 'namespace'>> {
  const boot = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
  const { dev, ino } = await stat('/proc/self/ns/net');
  return { boot, namespace: `${dev}:${ino}` };
}

async function readSwitch(path: string): Promise<string | undefined> {
  try {
    return (await readFile(`/proc/sys/${path}`, 'utf8')).trim();
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

async function writeSwitch(path: string, value: string): Promise<void> {
  try {
    await writeFile(`/proc/sys/${path}`, value);
  } catch (cause) {
    throw new TapwardenError('SLOT_FAILED', {
      message: `Cannot set /proc/sys/${path} to ${value}, which direct rules need: ${messageOf(cause)}`,
      cause,
    });
  }
}
