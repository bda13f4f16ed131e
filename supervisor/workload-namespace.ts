import { messageOf, type Run, TapwardenError } from '../base/index.ts';
import { disks, guestPaths } from '../init/contract.ts';
import type { JailPlan } from '../init/jail-plan.ts';
import { workloadNet } from './addresses.ts';
import { hostRootClosing, hostRootSetup, imageRootSetup, jailSetup } from './jail-setup.ts';
import { place } from './place.ts';
import { execCgroup, premadeExecs, type Setup, workloadHostname, workloadPaths } from './workload-layout.ts';

/** What stays for the supervisor when the workload takes all memory that it may: its own size, and the kernel's. */
const reservedMiB = 128;
const maxProcesses = 4096;

/**
 * Prepares all of the workload's environment that needs no ruleset, in one shell, because under emulation the start of
 * each program costs tens of milliseconds:
 *
 * - the clock, which at boot is off by seconds: `epochMs` is the host's;
 * - the network namespace, with a veth pair to the supervisor whose inner end is down, and so has no carrier: the fence is
 *   loaded before any packet can pass. Both ends know each other by fixed neighbour entries, so there is no discovery to
 *   allow;
 * - the root: the read-only image, and over it a layer in memory that takes what the workload writes and ends with the
 *   guest;
 * - the cgroup that keeps the workload from taking the supervisor's memory.
 *
 * @throws GUEST_SETUP_FAILED when a step fails
 */
export async function prepareWorkload(run: Run, epochMs: number): Promise<void> {
  const steps = place.jail === undefined ? guestSteps(epochMs) : jailSteps(place.jail);
  await step('prepare the environment of the workload', () =>
    run(['sh', '-euc', steps.map(({ script }) => script).join('')], {
      env: Object.assign({}, ...steps.map(({ env }) => env)),
    }),
  );
}

/**
 * Sets up the workload's end of the veth pair and brings it up, with default routes of both families: without a route
 * there is no packet, and nothing to detect. Call it when both rulesets stand.
 *
 * @throws GUEST_SETUP_FAILED when a step fails
 */
export async function openWorkloadNamespace(run: Run): Promise<void> {
  const n = workloadNet;
  const lines = [
    'link set lo up',
    `address add ${n.workloadIp4}/${n.prefix4} dev ${n.workloadLink}`,
    `address add ${n.workloadIp6}/${n.prefix6} dev ${n.workloadLink} nodad`,
    `neighbor add ${n.supervisorIp4} lladdr ${n.supervisorMac} nud permanent dev ${n.workloadLink}`,
    `neighbor add ${n.supervisorIp6} lladdr ${n.supervisorMac} nud permanent dev ${n.workloadLink}`,
    `link set ${n.workloadLink} up`,
    `route add default via ${n.supervisorIp4} dev ${n.workloadLink}`,
    `route add ::/0 via ${n.supervisorIp6} dev ${n.workloadLink}`,
  ];
  await step('bring the network of the workload up', () =>
    run([place.ip, '-n', n.namespace, '-batch', '-'], { input: `${lines.join('\n')}\n` }),
  );
}

const guestSteps = (epochMs: number): readonly Setup[] => [
  clockSetup(epochMs),
  namespaceSetup,
  rootSetup,
  namesSetup,
  cgroupSetup,
];

/** A jail has the host's clock. */
const jailSteps = (jail: JailPlan): readonly Setup[] => [
  jailSetup(jail),
  namespaceSetup,
  ...(jail.image === null ? [hostRootSetup(jail)] : [imageRootSetup(jail.image, jail)]),
  namesSetup,
  ...(jail.image === null ? [hostRootClosing] : []),
  cgroupSetup,
];

const clockSetup = (epochMs: number): Setup => ({
  script: `
date -u -s "@$TIME" >/dev/null
`,
  env: { TIME: String(Math.round(epochMs / 1000)) },
});

/**
 * Makes the workload's network namespace, named as `ip netns` names them. Router solicitations and duplicate address
 * detection are off, because they are the kernel's own packets and would only be noise in the fence's counters. `ip` is
 * started once, and named by path, since busybox's shell prefers its own applet.
 */
export const namespaceSetup: Setup = {
  script: `
mkdir -p /run/netns
: >"/run/netns/$NS"
unshare -n sh -euc '
  mount --bind /proc/self/ns/net "/run/netns/$NS"
  for scope in default all; do
    echo 0 >/proc/sys/net/ipv6/conf/$scope/accept_ra
    echo 0 >/proc/sys/net/ipv6/conf/$scope/router_solicitations
    echo 0 >/proc/sys/net/ipv6/conf/$scope/accept_dad
    echo 0 >/proc/sys/net/ipv6/conf/$scope/dad_transmits
  done
  echo "0 2147483647" >/proc/sys/net/ipv4/ping_group_range'
echo "$LINKS" | "$IP" -batch -
`,
  env: {
    IP: place.ip,
    NS: workloadNet.namespace,
    LINKS: [
      `link add ${workloadNet.supervisorLink} address ${workloadNet.supervisorMac} type veth peer name ${workloadNet.workloadLink} address ${workloadNet.workloadMac} netns ${workloadNet.namespace}`,
      `link set ${workloadNet.supervisorLink} addrgenmode none`,
      `address add ${workloadNet.supervisorIp4}/${workloadNet.prefix4} dev ${workloadNet.supervisorLink}`,
      `address add ${workloadNet.supervisorIp6}/${workloadNet.prefix6} dev ${workloadNet.supervisorLink} nodad`,
      `neighbor add ${workloadNet.workloadIp4} lladdr ${workloadNet.workloadMac} nud permanent dev ${workloadNet.supervisorLink}`,
      `neighbor add ${workloadNet.workloadIp6} lladdr ${workloadNet.workloadMac} nud permanent dev ${workloadNet.supervisorLink}`,
      `link set ${workloadNet.supervisorLink} up`,
    ].join('\n'),
  },
};

const rootSetup: Setup = {
  script: `
mount -t ext4 -o ro,nodev "$DISK" "$LOWER"
base=\${ROOT%/*}
mkdir -p "$base" "$EXECS"
mount -t tmpfs -o nodev,mode=0755 tmpfs "$base"
mkdir -p "$base/upper" "$base/work" "$ROOT" "$SYS"
mount -t overlay -o "nodev,lowerdir=$LOWER,upperdir=$base/upper,workdir=$base/work" overlay "$ROOT"
`,
  env: {
    DISK: disks.workloadRoot,
    LOWER: guestPaths.workloadMount,
    ROOT: workloadPaths.root,
    SYS: workloadPaths.sys,
    EXECS: workloadPaths.execs,
  },
};

// Where the image has links in place of the files, these are replaced and not written through.
const namesSetup: Setup = {
  script: `
nsenter --net="/run/netns/$NS" mount -t sysfs -o ro,nosuid,nodev,noexec sysfs "$SYS"
mkdir -p "$ROOT/etc"
rm -f "$ROOT/etc/resolv.conf" "$ROOT/etc/hosts"
echo "nameserver $RESOLVER" >"$ROOT/etc/resolv.conf"
printf '127.0.0.1 localhost\n::1 localhost\n127.0.1.1 %s\n' "$HOSTNAME" >"$ROOT/etc/hosts"
`,
  env: {
    ROOT: workloadPaths.root,
    SYS: workloadPaths.sys,
    NS: workloadNet.namespace,
    // Nobody answers there: a look-up past the proxy is refused and seen, instead of lost inside the workload.
    RESOLVER: workloadNet.supervisorIp4,
    HOSTNAME: workloadHostname,
  },
};

// In a jail the memory is what the host's cgroup has for the sandbox, and root may lack the right to be spared.
const cgroupSetup: Setup = {
  script: `
mkdir "$CGROUP" $EXEC_CGROUPS
for controller in memory pids; do
  echo "+$controller" >"\${CGROUP%/*}/cgroup.subtree_control" 2>/dev/null || true
  echo "+$controller" >"$CGROUP/cgroup.subtree_control" 2>/dev/null || true
done
read -r _ total _ </proc/meminfo
[ -z "$MEMORY_MIB" ] || total=$((MEMORY_MIB * 1024))
[ ! -e "$CGROUP/memory.max" ] || echo $(((total / 1024 - RESERVED_MIB) * 1048576)) >"$CGROUP/memory.max"
[ ! -e "$CGROUP/pids.max" ] || echo "$MAX_PROCESSES" >"$CGROUP/pids.max"
echo -1000 >/proc/$PPID/oom_score_adj || [ -n "$MEMORY_MIB" ]
`,
  env: {
    CGROUP: workloadPaths.cgroup,
    EXEC_CGROUPS: premadeExecs.map(execCgroup).join(' '),
    MEMORY_MIB: String(place.jail?.memoryMiB ?? ''),
    RESERVED_MIB: String(reservedMiB),
    MAX_PROCESSES: String(maxProcesses),
  },
};

async function step(what: string, body: () => Promise<unknown>): Promise<void> {
  try {
    await body();
  } catch (cause) {
    throw new TapwardenError('GUEST_SETUP_FAILED', { message: `Cannot ${what}: ${messageOf(cause)}`, cause });
  }
}
