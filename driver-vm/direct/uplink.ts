import { writeFile } from 'node:fs/promises';
import {
  errnoOf,
  isTapwardenError,
  messageOf,
  type Run,
  TapwardenError,
  type UndoStack,
  withLock,
} from '../../base/index.ts';
import {
  addElements,
  applyRuleset,
  type DirectDestination,
  deleteElements,
  hasIp6,
  listTables,
  type NftTarget,
  removeTable,
} from '../../nft/index.ts';
import { knownRange } from '../../policy/index.ts';
import { lockFile, type Paths } from '../paths.ts';
import { inSlot, type Slot } from '../slot.ts';
import { type Egress, findEgress } from './egress.ts';
import { checkHostFirewall } from './firewall/check.ts';
import { closeForwarding, openForwarding, readChanges, readForwardingPlan } from './forwarding.ts';
import { elementsOf, type ForwardingPlan } from './forwarding-plan.ts';
import { type HostNetwork, readEgress, readHostNetwork } from './host-network.ts';
import { hostRuleset, hostSets, hostTable } from './host-table.ts';
import { choosePair, type Pool, type UsedRange } from './pool.ts';
import { planUplink, type UplinkPairs } from './uplink-plan.ts';

/** What an uplink is made of. */
export type UplinkOptions = {
  readonly paths: Paths;
  readonly pool: Pool;
  readonly slot: Slot;
  /** The sandbox's index, which no other living sandbox has. */
  readonly index: number;
  /** Not empty. */
  readonly direct: readonly DirectDestination[];
  /** For the files of rulesets; what a kill leaves there goes with it. @default the system's folder for such */
  readonly folder?: string;
  /** Takes what a person should know and what does not keep a sandbox from starting. */
  readonly onWarning: (line: string) => void;
  /** Whether to let single interfaces forward IPv6, where the kernel can; `false` is as on one that cannot. @default true */
  readonly ip6ByLink?: boolean;
};

/** The host's end of a sandbox's veth: `'twv7'` for index 7. */
export const uplinkName = (index: number): string => `twv${index}`;

/**
 * Makes the way of direct egress out of a slot: a veth to the root namespace with addresses of the pool, the host's
 * table, and forwarding. A slot without direct rules has none of it.
 *
 * The host's fence stands before the veth is there, and forwarding comes last; it is taken back the other way round.
 * What is there already is read from the kernel, under the lock, so that no record has to be kept in step with it.
 *
 * @throws DIRECT_BLOCKED when another table of the host drops what a direct rule allows
 * @throws POOL_EXHAUSTED, ROUTE_CONFLICT when the host has the addresses in use
 * @throws FORWARDING_UNSAFE when the host would lose its IPv6 routes
 * @throws NFT_REJECTED, SLOT_FAILED, LOCK_TIMEOUT when a step fails
 */
export async function openUplink(run: Run, options: UplinkOptions, undo: UndoStack): Promise<void> {
  const { paths, pool, slot, index, direct, folder, onWarning, ip6ByLink = true } = options;
  const link = uplinkName(index);
  const egress = await findEgress(await readHostNetwork(), direct);
  for (const { destination } of egress.filter(({ interfaces }) => interfaces.length === 0)) {
    onWarning(`the host has no route to ${destination.cidr}, which the direct rule ${destination.rule} allows`);
  }
  await checkHostFirewall(run, { link, pool, egress, onWarning });
  await withLock(lockFile(paths), {}, async () => {
    const network = await readHostNetwork();
    refuseTaken(network, link);
    undo.push(`take the uplink ${link} away`, async () => await closeUplink(run, paths, index));
    const pairs = choosePairs(pool, network, hasIp6(direct));
    const plan = await readForwardingPlan(network, {
      egress4: interfacesOf(egress, false),
      egress6: interfacesOf(egress, true),
      ip6ByLink,
    });
    const target = { run, ...(folder === undefined ? {} : { folder }) };
    await openHostTable(target, paths, [...uplinksOf(network), link], plan);
    await makeVeth(run, slot, link, pairs);
    await openForwarding(paths, plan, link, pairs.v6 !== undefined);
    await checkRoutes(link, pairs);
  });
}

/**
 * Takes an uplink away, and with the last one the host's table and forwarding. One that is not there is none to take.
 *
 * @throws LOCK_TIMEOUT, COMMAND_FAILED, SLOT_FAILED, NFT_REJECTED when a step fails
 */
export async function closeUplink(run: Run, paths: Paths, index: number): Promise<void> {
  await withLock(lockFile(paths), {}, async () => await removeUplinks(run, paths, [index]));
}

/** Like {@link closeUplink} for any number of uplinks, and for a caller that holds the lock. */
export async function removeUplinks(run: Run, paths: Paths, indexes: readonly number[]): Promise<void> {
  const gone = indexes.map(uplinkName);
  const there = uplinksOf(await readHostNetwork());
  for (const link of gone.filter((name) => there.includes(name))) await deleteLink(run, link);
  if (there.every((link) => gone.includes(link))) {
    await closeForwarding(paths);
    if (await isLoaded(run)) await removeTable({ run }, hostTable);
  } else {
    for (const link of gone) await forgetSlot(run, link);
  }
}

function uplinksOf(network: HostNetwork): readonly string[] {
  return network.links.filter((name) => /^twv\d{1,5}$/.test(name));
}

function refuseTaken(network: HostNetwork, link: string): void {
  if (!network.links.includes(link)) return;
  throw new TapwardenError('SLOT_FAILED', {
    message: `The interface ${link} exists already, and is not this sandbox's`,
    hint: `Delete it if it is left over: 'ip link del ${link}'.`,
  });
}

/** The interfaces by which direct traffic of one family leaves. */
function interfacesOf(egress: readonly Egress[], isIp6: boolean): readonly string[] {
  const ofFamily = egress.filter(({ destination }) => destination.cidr.includes(':') === isIp6);
  return [...new Set(ofFamily.flatMap(({ interfaces }) => interfaces))];
}

/** Routes of shorter prefixes are default routes, whole or in halves as VPNs write them, and use no address up. */
const shortestUsed = 2;

function choosePairs(pool: Pool, { routes }: HostNetwork, withIp6: boolean): UplinkPairs {
  const used: readonly UsedRange[] = routes
    .filter(({ range }) => range.prefix >= shortestUsed)
    .map(({ range, interfaces }) => ({ range, by: interfaces.join(', ') || 'a route' }));
  return { v4: choosePair(pool.cidr4, used), v6: withIp6 ? choosePair(pool.cidr6, used) : undefined };
}

/**
 * Adds slots to the host's table, and makes it if it is not there. All elements are given each time: a table that
 * somebody flushed under living sandboxes is whole again.
 */
async function openHostTable(
  target: NftTarget,
  paths: Paths,
  links: readonly string[],
  plan: ForwardingPlan,
): Promise<void> {
  const { opened, closed } = elementsOf([...(await readChanges(paths)), ...plan.changes]);
  if (!(await isLoaded(target.run))) await applyRuleset(target, hostRuleset());
  await addElements(target, hostTable, [
    { set: hostSets.slots, elements: links.map((name) => `"${name}"`) },
    { set: hostSets.opened, elements: opened },
    { set: hostSets.closed, elements: closed },
  ]);
}

async function isLoaded(run: Run): Promise<boolean> {
  const tables = await listTables({ run }).catch((error: unknown) => {
    // Without nft there is no table, and garbage is collected all the same.
    if (isTapwardenError(error, 'NFT_MISSING')) return [];
    throw error;
  });
  return tables.some(({ family, name }) => family === hostTable.family && name === hostTable.name);
}

async function forgetSlot(run: Run, link: string): Promise<void> {
  try {
    await deleteElements({ run }, hostTable, [{ set: hostSets.slots, elements: [`"${link}"`] }]);
  } catch (error) {
    if (!isTapwardenError(error, 'NFT_NOT_FOUND')) throw error;
  }
}

async function makeVeth(run: Run, slot: Slot, link: string, pairs: UplinkPairs): Promise<void> {
  const plan = planUplink(slot.namespace, link, pairs);
  const withIp6 = pairs.v6 !== undefined;
  const batch = (lines: readonly string[]) => ({ input: `${lines.join('\n')}\n` });
  try {
    await run(['ip', '-batch', '-'], batch(plan.make));
    if (!withIp6) await disableIp6(link);
    await run(inSlot(slot, 'sh', '-euc', slotForwarding), { env: { IP6: withIp6 ? '1' : '0' } });
    await run(['ip', '-batch', '-'], batch(plan.host));
    await run(['ip', '-n', slot.namespace, '-batch', '-'], batch(plan.slot));
  } catch (cause) {
    throw new TapwardenError('SLOT_FAILED', { message: `Cannot make the veth ${link}: ${messageOf(cause)}`, cause });
  }
}

/** The slot is the router of its guest; its table says what for. */
const slotForwarding = `
echo 1 >/proc/sys/net/ipv4/ip_forward
[ "$IP6" = 0 ] || echo 1 >/proc/sys/net/ipv6/conf/all/forwarding
`;

async function disableIp6(link: string): Promise<void> {
  try {
    await writeFile(`/proc/sys/net/ipv6/conf/${link}/disable_ipv6`, '1');
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
  }
}

async function deleteLink(run: Run, link: string): Promise<void> {
  try {
    await run(['ip', 'link', 'del', link]);
  } catch (error) {
    // It went with its slot a moment ago.
    if (isTapwardenError(error) && /Cannot find device/.test(String(error.details['stderr']))) return;
    throw error;
  }
}

/** Asks the kernel whether replies find their way: routing rules of the host may send them elsewhere. */
async function checkRoutes(link: string, { v4, v6 }: UplinkPairs): Promise<void> {
  const slots = [v4.slot, ...(v6 === undefined ? [] : [v6.slot])];
  const found = await readEgress(slots.map((address) => knownRange(address)));
  slots.forEach((address, at) => {
    if (found[at] === link) return;
    throw new TapwardenError('ROUTE_CONFLICT', {
      message: `The host sends packets for ${address}, the end of a slot, ${found[at] === undefined ? 'nowhere' : `to ${found[at]}`} and not to ${link}`,
      hint: `A rule of 'ip rule' comes before the main table. Name a range that it leaves alone: ${address.includes(':') ? 'TAPWARDEN_POOL6' : 'TAPWARDEN_POOL4'}.`,
      details: { address, link, found: found[at] ?? null },
    });
  });
}
