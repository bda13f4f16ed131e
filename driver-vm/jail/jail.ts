import { realpath } from 'node:fs/promises';
import {
  type Child,
  escapeText,
  type Run,
  start,
  systemPath,
  TapwardenError,
  type UndoStack,
} from '../../base/index.ts';
import { programCommand } from '../../base/program.ts';
import { type JailPlan, jailVariable } from '../../init/jail-plan.ts';
import type { DirectDestination } from '../../nft/index.ts';
import type { Carrier, CarrierPlace, PreparedCarrier } from '../carrier.ts';
import { plainEnvironment } from '../environment.ts';
import { supervisorBundle } from '../machine.ts';
import type { Paths } from '../paths.ts';
import type { Slot } from '../slot.ts';
import { slotUplink } from '../slot-table.ts';
import { type Controller, type JailCgroup, type JailLimits, makeCgroups } from './cgroup.ts';
import { holdLogSwitch, releaseLogSwitch } from './log-switch.ts';
import { makeJailSlot } from './slot.ts';

/** What a jail carries a sandbox with. */
export type JailOptions = {
  readonly id: string;
  readonly paths: Paths;
  readonly run: Run;
  readonly direct: readonly DirectDestination[];
  readonly limits: JailLimits;
  /** Limits that the caller asked for, so that a host which cannot keep them is an error. */
  readonly required: readonly Controller[];
  /** The image to run in, an ext4 file; `null` is the host's own root, as far as a jail shows it. */
  readonly image: string | null;
  readonly onWarning: (line: string) => void;
};

/**
 * A jail: the supervisor runs on the host itself, in the slot and a mount namespace of its own. There is no virtual
 * machine, so nothing but the host's kernel stands between the workload and the host.
 */
export function jail(options: JailOptions): Carrier {
  return {
    accelerator: undefined,
    attempts: ['boot'],
    startsEarly: true,
    graceMs: 1000,
    // Root connects to them, and nobody else.
    socketGroup: ({ channel }) => channel,
    workloadUid: ({ vmm }) => vmm,
    prepare: async (place, undo) => await prepare(options, place, undo),
    failure: ({ status, signal, error }, said, cause) =>
      new TapwardenError('JAIL_FAILED', {
        message: `The supervisor of the jail ended with ${signal ?? error?.message ?? `status ${String(status)}`}${said === '' ? '' : `: ${escapeText(said, 1000)}`}`,
        hint: "See 'tapwarden doctor'.",
        details: { status, signal },
        cause,
      }),
  };
}

async function prepare(options: JailOptions, place: CarrierPlace, undo: UndoStack): Promise<PreparedCarrier> {
  const { id, run, paths, limits, image } = options;
  const cgroup = await makeCgroups(id, limits, undo);
  checkLimits(options, cgroup);
  undo.push('let the log switch go', async () => await releaseLogSwitch(id));
  const plan: JailPlan = {
    channel: place.channelSocket,
    uid: place.users.vmm,
    cgroup: cgroup.path,
    memoryMiB: limits.memoryMiB,
    image,
    uplink: slotUplink,
    logging: await holdLogSwitch(id),
    hostNetwork: `/proc/${process.pid}/ns/net`,
    hidden: await Promise.all([paths.stateDir, paths.runDir].map(async (path) => await realpath(path))),
  };
  const slot = await makeJailSlot(run, { id }, undo);
  return { slot, start: () => startSupervisor(slot, cgroup, plan), readDrops: async () => ({}) };
}

/** Limits that were asked for are kept, or there is no jail; of others that are not kept, the caller is told. */
function checkLimits({ required, onWarning }: JailOptions, { missing }: JailCgroup): void {
  if (missing.length === 0) return;
  const lacking = `this host keeps no limit of ${missing.join(', ')}: it has no such cgroup controller that could be used`;
  const wanted = missing.filter((name) => required.includes(name));
  if (wanted.length === 0) return onWarning(lacking);
  throw new TapwardenError('JAIL_UNSUPPORTED', {
    message: `A limit of ${wanted.join(' and ')} was asked for, and ${lacking}`,
    hint: 'Leave --cpus or --memory out, or switch the controller on in cgroup.subtree_control of the root of cgroup v2.',
    details: { missing },
  });
}

/** Starts the supervisor, in the slot, in its cgroups, and in a mount namespace that ends with it. */
function startSupervisor(slot: Slot, { joins }: JailCgroup, plan: JailPlan): Child {
  return start(
    [
      // With the driver it ends too, whatever ends that.
      'setpriv',
      '--pdeathsig=KILL',
      ...['sh', '-euc', 'for file in $0; do echo 0 >"$file"; done; exec "$@"', joins.join(' ')],
      ...['nsenter', `--net=/run/netns/${slot.namespace}`],
      ...['unshare', '--mount', '--propagation=private'],
      ...programCommand(supervisorBundle),
    ],
    {
      stdio: ['ignore', 'ignore', 'pipe'],
      // The supervisor's /run is its own and in memory: what it leaves there goes with it.
      env: {
        ...plainEnvironment,
        TAPWARDEN_PATH: systemPath,
        TMPDIR: '/run',
        [jailVariable]: JSON.stringify(plan),
      },
      cwd: '/',
      detached: true,
    },
  );
}
