import { type Argv, isTapwardenError, messageOf, type Run, TapwardenError, type UndoStack } from '../base/index.ts';
import { link } from '../init/index.ts';
import { applyRuleset, type DirectDestination, hasIp6, type NftTarget, readCounters } from '../nft/index.ts';
import {
  framesDropCounters,
  framesRuleset,
  framesTable,
  slotDropCounters,
  slotRuleset,
  slotTable,
} from './slot-table.ts';

/** A slot: the host network namespace of one sandbox. */
export type Slot = {
  readonly namespace: string;
  /** What the namespace is bound to. Example: `/run/netns/tw-a`. */
  readonly path: string;
  /** Puts a command into the slot: `['ip', 'netns', 'exec', 'tw-a', …]`. */
  readonly enter: readonly string[];
};

/** What a slot is made of. */
export type SlotOptions = {
  readonly id: string;
  /** The user that QEMU runs as, who alone may open the TAP. */
  readonly vmmUid: number;
  readonly direct: readonly DirectDestination[];
  /** The sandbox's own folder, for the ruleset's file: whatever becomes of this process, it goes with the folder. */
  readonly folder?: string;
};

/** The name of a sandbox's slot. */
export const slotNamespace = (id: string): string => `tw-${id}`;

/**
 * Makes a slot: the namespace, its TAP, and its table, which is loaded before the TAP goes up. A step that half fails is
 * taken back by `undo` as well. Nothing of it is in the root namespace, and the namespace takes all of it with it.
 *
 * The TAP has ARP off and a fixed neighbour: the host answers no discovery of the guest and believes none.
 *
 * @throws SLOT_FAILED when a step fails, with the step
 * @throws SANDBOX_EXISTS when the namespace is there already
 * @throws TUN_MISSING when the kernel has no TAP devices
 * @throws NFT_MISSING, NFT_REJECTED when the table cannot be loaded
 */
export async function makeSlot(run: Run, options: SlotOptions, undo: UndoStack): Promise<Slot> {
  const slot = await makeNamespace(run, { id: options.id, withIp6: hasIp6(options.direct) }, undo);
  const { namespace, enter } = slot;
  await addTap(run, namespace, options.vmmUid);
  await loadSlot({ run, enter, ...(options.folder === undefined ? {} : { folder: options.folder }) }, options.direct);
  await step('bring the TAP up', () =>
    run(['ip', '-n', namespace, '-batch', '-'], { input: tapUp(hasIp6(options.direct)) }),
  );
  return slot;
}

/**
 * Makes the namespace of a slot, in which nothing is forwarded yet. `batch` are lines for `ip -batch` in it.
 *
 * @throws SLOT_FAILED, SANDBOX_EXISTS as {@link makeSlot}
 */
export async function makeNamespace(
  run: Run,
  options: { readonly id: string; readonly withIp6: boolean; readonly batch?: readonly string[] },
  undo: UndoStack,
): Promise<Slot> {
  const namespace = slotNamespace(options.id);
  await addNamespace(run, options.id, undo);
  const enter = ['ip', 'netns', 'exec', namespace] as const;
  await step('set the namespace up', () =>
    run([...enter, 'sh', '-euc', settings], {
      env: { IP6: options.withIp6 ? '0' : '1', BATCH: (options.batch ?? []).join('\n') },
    }),
  );
  return { namespace, path: `/run/netns/${namespace}`, enter };
}

/**
 * Loads both tables of a slot, where they stand already in their place.
 *
 * @throws NFT_MISSING, NFT_REJECTED when they cannot be loaded
 */
async function loadSlot(target: NftTarget, direct: readonly DirectDestination[]): Promise<void> {
  await applyRuleset(target, framesRuleset());
  await applyRuleset(target, slotRuleset(direct));
}

/** Adds the namespace. One of that name which is there already is somebody else's, so it is not on `undo`. */
async function addNamespace(run: Run, id: string, undo: UndoStack): Promise<void> {
  const namespace = slotNamespace(id);
  const takeBack = (): void => undo.push(`delete the namespace ${namespace}`, async () => await deleteSlot(run, id));
  try {
    await run(['ip', 'netns', 'add', namespace]);
  } catch (cause) {
    if (isTapwardenError(cause) && /File exists/.test(String(cause.details['stderr']))) {
      throw new TapwardenError('SANDBOX_EXISTS', {
        message: `The network namespace ${namespace} exists already, and not by a sandbox of this run directory`,
        hint: `Choose another id, or delete it if it is left over: 'ip netns del ${namespace}'.`,
        cause,
      });
    }
    takeBack();
    throw slotFailed('add the network namespace', cause);
  }
  takeBack();
}

/** Deletes a slot; one that is not there is none to delete. */
export async function deleteSlot(run: Run, id: string): Promise<void> {
  try {
    await run(['ip', 'netns', 'del', slotNamespace(id)]);
  } catch (error) {
    if (isTapwardenError(error, 'COMMAND_FAILED') && /No such file/.test(String(error.details['stderr']))) return;
    throw error;
  }
}

/** The drop counters of the slot's tables, in packets; empty when they cannot be read. */
export async function readSlotDrops(run: Run, slot: Slot): Promise<Readonly<Record<string, number>>> {
  try {
    const target = { run, enter: slot.enter };
    const [counters, frames] = [await readCounters(target, slotTable), await readCounters(target, framesTable)];
    return Object.fromEntries([
      ...slotDropCounters.map((name) => [name, counters.get(name)?.packets ?? 0] as const),
      ...framesDropCounters.map((name) => [name, frames.get(name)?.packets ?? 0] as const),
    ]);
  } catch {
    return {};
  }
}

// A new namespace takes the host's IPv4 settings over, forwarding among them. No IPv6 of its own on links that appear
// later.
const settings = `
echo 0 >/proc/sys/net/ipv4/ip_forward
for scope in default all; do
  [ ! -e /proc/sys/net/ipv6/conf/$scope/disable_ipv6 ] || echo "$IP6" >/proc/sys/net/ipv6/conf/$scope/disable_ipv6
  [ ! -e /proc/sys/net/ipv6/conf/$scope/accept_ra ] || echo 0 >/proc/sys/net/ipv6/conf/$scope/accept_ra
done
[ -z "$BATCH" ] || echo "$BATCH" | ip -batch -
`;

async function addTap(run: Run, namespace: string, uid: number): Promise<void> {
  const tap = link.hostInterface;
  try {
    await run(['ip', '-n', namespace, 'tuntap', 'add', 'dev', tap, 'mode', 'tap', 'user', String(uid)]);
    await run(['ip', '-n', namespace, '-batch', '-'], {
      input: `link set ${tap} address ${link.hostMac} arp off addrgenmode none\n`,
    });
  } catch (cause) {
    const stderr = isTapwardenError(cause) ? String(cause.details['stderr']) : '';
    if (!/\/dev\/net\/tun/.test(stderr)) throw slotFailed('make the TAP', cause);
    throw new TapwardenError('TUN_MISSING', {
      message: `The host has no usable /dev/net/tun: ${stderr.trim()}`,
      hint: "Load the module: 'modprobe tun'.",
      cause,
    });
  }
}

function tapUp(withIp6: boolean): string {
  const tap = link.hostInterface;
  return [
    `address add ${link.hostIpv4}/${link.ipv4PrefixLength} dev ${tap}`,
    ...(withIp6 ? [`address add ${link.hostIpv6}/${link.ipv6PrefixLength} dev ${tap} nodad`] : []),
    `link set ${tap} up`,
    `neighbor add ${link.guestIpv4} lladdr ${link.guestMac} nud permanent dev ${tap}`,
    ...(withIp6 ? [`neighbor add ${link.guestIpv6} lladdr ${link.guestMac} nud permanent dev ${tap}`] : []),
    '',
  ].join('\n');
}

async function step(what: string, body: () => Promise<unknown>): Promise<void> {
  try {
    await body();
  } catch (cause) {
    throw slotFailed(what, cause);
  }
}

function slotFailed(what: string, cause: unknown): TapwardenError {
  return new TapwardenError('SLOT_FAILED', { message: `Cannot ${what} of the slot: ${messageOf(cause)}`, cause });
}

/** What `enter` and a command make together. */
export function inSlot(slot: Slot, ...command: readonly string[]): Argv {
  return [...slot.enter, ...command] as unknown as Argv;
}
