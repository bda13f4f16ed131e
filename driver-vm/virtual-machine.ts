import { escapeText, isTapwardenError, type Run, TapwardenError } from '../base/index.ts';
import { type GuestImage, type WorkloadImage, workloadUser } from '../init/index.ts';
import type { DirectDestination } from '../nft/index.ts';
import type { AcceleratorChoice } from './accelerator.ts';
import type { Carrier } from './carrier.ts';
import { consoleLinesOf } from './console-lines.ts';
import { makeSlot, readSlotDrops } from './slot.ts';
import type { SlotWatch } from './slot-watch.ts';
import { discardSnapshot, type Snapshot, withState } from './snapshot/snapshot.ts';
import { startVmm } from './vmm.ts';

/** What a virtual machine carries a sandbox with. */
export type VirtualMachineOptions = {
  readonly id: string;
  readonly run: Run;
  readonly direct: readonly DirectDestination[];
  readonly guest: GuestImage;
  readonly workload: WorkloadImage;
  readonly accelerator: AcceleratorChoice;
  readonly tscKhz: number;
  readonly cpus: number;
  readonly memoryMiB: number;
  /** The state of such a machine that has booted, to be restored instead of a boot; `undefined`: it boots. */
  readonly snapshot?: Snapshot | undefined;
};

/** A virtual machine: QEMU in the slot, as a user of its own. Under emulation a boot can hang for no reason of its own. */
export function virtualMachine(options: VirtualMachineOptions): Carrier {
  const { id, run, direct, guest, workload, tscKhz, cpus, memoryMiB, snapshot } = options;
  const { accelerator } = options.accelerator;
  return {
    accelerator,
    attempts: snapshot === undefined ? ['boot', 'boot'] : ['restore', 'boot', 'boot'],
    startsEarly: false,
    graceMs: 0,
    socketGroup: ({ vmm }) => vmm,
    workloadUid: () => workloadUser.uid,
    prepare: async ({ users, folder, channelSocket, consoleSocket }, undo) => {
      const slot = await makeSlot(run, { id, vmmUid: users.vmm, direct, folder }, undo);
      const machine = { guest, workload, accelerator, cpus, memoryMiB, tscKhz, channelSocket, consoleSocket, name: id };
      let watch: SlotWatch | undefined;
      return {
        slot,
        watch: async (told) => {
          // It loads a native module, which a jail has no need of.
          const { SlotWatch: Watch } = await import('./slot-watch.ts');
          const opened = await Watch.open({ slot, ...told });
          undo.push("end the watch of the slot's tables", async () => void (await opened.close()));
          watch = opened;
        },
        start: (attempt) => {
          const user = { uid: users.vmm, gid: users.vmm };
          if (attempt === 'boot' || snapshot === undefined) return startVmm(slot.enter, user, machine);
          return withState(snapshot, (fd) => startVmm(slot.enter, user, machine, fd));
        },
        ...(snapshot === undefined ? {} : { discard: async () => await discardSnapshot(snapshot) }),
        readDrops: async () => await (watch === undefined ? readSlotDrops(run, slot) : watch.close()),
      };
    },
    failure: ({ status, signal, error }, text, cause) => {
      const said = escapeText(text, 1000);
      const console = isTapwardenError(cause) ? String(cause.details['console'] ?? '') : '';
      const missing = /setpriv: failed to execute qemu-system-x86_64/.test(said);
      return new TapwardenError(missing ? 'VMM_MISSING' : 'VMM_FAILED', {
        message: missing
          ? 'QEMU is not installed: there is no qemu-system-x86_64'
          : `The virtual machine ended with ${signal ?? error?.message ?? `status ${String(status)}`}${said === '' ? '' : `: ${said}`}`,
        hint: missing
          ? 'Install the package qemu-system-x86.'
          : console === ''
            ? "See 'tapwarden doctor'."
            : `The end of its console:\n${consoleLinesOf(console)}`,
        details: { status, signal },
        cause,
      });
    },
  };
}
