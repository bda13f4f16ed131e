import { type Argv, type Child, start, TapwardenError } from '../base/index.ts';
import { channelPortName, type GuestImage, kernelCommandLine, link, type WorkloadImage } from '../init/index.ts';
import { plainEnvironment } from './environment.ts';

/** How the guest's processor is run. */
export type Accelerator = 'kvm' | 'tcg';

/** What a virtual machine is made of. */
export type VmmOptions = {
  readonly guest: Pick<GuestImage, 'kernel' | 'initrd' | 'root'>;
  readonly workload: Pick<WorkloadImage, 'path'>;
  readonly accelerator: Accelerator;
  readonly cpus: number;
  readonly memoryMiB: number;
  /** The host's time-stamp counter in kHz. */
  readonly tscKhz: number;
  readonly channelSocket: string;
  readonly consoleSocket: string;
  readonly name: string;
  /** Where QEMU is told what to do; absent where nobody tells it. */
  readonly controlSocket?: string;
};

/** The port of the channel, in QEMU's events. */
export const channelPortId = 'channel-port';

/** Who runs QEMU. Both are the same number; never 0. */
export type VmmUser = { readonly uid: number; readonly gid: number };

/**
 * The QEMU command line of a guest.
 *
 * The `microvm` machine has virtio-mmio devices and nothing else: no PCI, no BIOS devices, no default network or
 * display. Disks are read-only. Source: qemu-system-x86_64(1); docs/system/i386/microvm.rst of QEMU 7.2.
 */
export function qemuArguments(options: VmmOptions): Argv {
  const { guest, accelerator, controlSocket } = options;
  return [
    'qemu-system-x86_64',
    '-name',
    `guest=${options.name}`,
    '-accel',
    accelerator,
    '-M',
    'microvm',
    '-cpu',
    // Without an instruction for random numbers the emulated guest waits more than a second for entropy.
    accelerator === 'kvm' ? 'host' : 'qemu64,+rdrand',
    '-smp',
    String(options.cpus),
    '-m',
    String(options.memoryMiB),
    '-nodefaults',
    '-no-user-config',
    '-no-reboot',
    '-display',
    'none',
    '-sandbox',
    'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny',
    '-kernel',
    guest.kernel,
    '-initrd',
    guest.initrd,
    '-append',
    kernelCommandLine({ accelerator, tscKhz: options.tscKhz, verbose: false }),
    ...disk('guest', guest.root),
    ...disk('workload', options.workload.path),
    '-netdev',
    `tap,id=net,ifname=${link.hostInterface},script=no,downscript=no`,
    '-device',
    `virtio-net-device,netdev=net,mac=${link.guestMac}`,
    '-device',
    'virtio-serial-device',
    '-chardev',
    `socket,id=channel,path=${escapeOption(options.channelSocket)}`,
    '-device',
    `virtserialport,id=${channelPortId},chardev=channel,name=${channelPortName}`,
    '-chardev',
    `socket,id=console,path=${escapeOption(options.consoleSocket)}`,
    '-serial',
    'chardev:console',
    ...(controlSocket === undefined ? [] : control(controlSocket)),
  ];
}

function control(path: string): readonly string[] {
  return ['-chardev', `socket,id=control,path=${escapeOption(path)}`, '-mon', 'chardev=control,mode=control'];
}

/**
 * What makes QEMU take up the state of a machine from its descriptor 3, and go on where that one was, without telling the network
 * that it has moved: it has not, and the slot drops what an honest guest does not send.
 */
const restoring: readonly string[] = ['-global', 'migration.announce-rounds=0', '-incoming', 'fd:3'];

/**
 * Starts QEMU in the slot, confined as {@link confined} has it. `stateFd` is an open file with the state of a machine that had the
 * same options, which is restored; without it the guest boots.
 *
 * @throws VMM_PRIVILEGED when the user is root: there is no such fallback
 */
export function startVmm(enter: readonly string[], user: VmmUser, options: VmmOptions, stateFd?: number): Child {
  const devices = options.accelerator === 'kvm' ? ['tun', 'kvm'] : ['tun'];
  const argv: Argv = [...qemuArguments(options), ...(stateFd === undefined ? [] : restoring)];
  return start([...enter, ...confined(user, devices, argv)] as unknown as Argv, {
    stdio: ['ignore', 'ignore', 'pipe', ...(stateFd === undefined ? [] : [stateFd])],
    env: plainEnvironment,
    detached: true,
  });
}

/**
 * A command line that runs `argv` as a user of its own: no capability, no way to gain one, ended with its parent, and of
 * the host's devices only those named, as nodes that belong to that user. They stand on a small filesystem over
 * /dev/shm, so it needs a mount namespace of its own, as `ip netns exec` and `unshare` make one, and nothing of it stays.
 *
 * @throws VMM_PRIVILEGED when the user is root
 */
export function confined(user: VmmUser, devices: readonly string[], argv: Argv): Argv {
  if (user.uid === 0 || user.gid === 0) {
    throw new TapwardenError('VMM_PRIVILEGED', {
      message: 'QEMU would run as root',
      hint: 'It runs as a user of its own for each sandbox, and never otherwise.',
    });
  }
  return [
    'sh',
    '-euc',
    deviceScript,
    String(user.uid),
    devices.join(' '),
    'setpriv',
    `--reuid=${user.uid}`,
    `--regid=${user.gid}`,
    '--clear-groups',
    '--no-new-privs',
    '--bounding-set=-all',
    '--inh-caps=-all',
    '--pdeathsig=KILL',
    ...argv,
  ];
}

// Device numbers: Documentation/admin-guide/devices.txt.
const deviceScript = `
uid=$0 devices=$1
shift
mount -t tmpfs -o nosuid,noexec,mode=0755,size=64k tmpfs /dev/shm
for device in $devices; do
  case $device in
    tun) target=/dev/net/tun minor=200 ;;
    kvm) target=/dev/kvm minor=232 ;;
  esac
  mknod -m 0600 "/dev/shm/$device" c 10 "$minor"
  chown "$uid" "/dev/shm/$device"
  mount --bind "/dev/shm/$device" "$target"
done
exec "$@"
`;

function disk(name: string, path: string): readonly string[] {
  return [
    '-drive',
    `if=none,id=${name},file=${escapeOption(path)},format=raw,readonly=on`,
    '-device',
    `virtio-blk-device,drive=${name}`,
  ];
}

/** In QEMU's option lists a comma is written twice. */
function escapeOption(value: string): string {
  return value.replaceAll(',', ',,');
}
