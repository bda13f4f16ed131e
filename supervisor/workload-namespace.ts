import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { totalmem } from 'node:os';
import { dirname } from 'node:path';
import { loadMounter, messageOf, type Run, TapwardenError } from '../base/index.ts';
import { workloadNet } from './addresses.ts';
import type { Lateness } from './attribution/attribution.ts';
import { closeHostRoot, makeHostRoot } from './jail-root.ts';
import { makeJailFolders, userNamespaceSetup } from './jail-setup.ts';
import { place } from './place.ts';
import { startAccounting } from './process-accounting.ts';
import { execCgroup, premadeExecs, type Setup, workloadPaths } from './workload-layout.ts';
import { makeGuestRoot, makeImageRoot, makeNames } from './workload-root.ts';

/** What stays for the supervisor when the workload takes all memory that it may: its own size, and the kernel's. */
const reservedMiB = 128;
const maxProcesses = 4096;

/**
 * Prepares all of the workload's environment that needs no ruleset:
 *
 * - the network namespace, with a veth pair to the supervisor whose inner end is down, and so has no carrier: the fence is
 *   loaded before any packet can pass. Both ends know each other by fixed neighbour entries, so there is no discovery to
 *   allow;
 * - the root: the read-only image, and over it a layer in memory that takes what the workload writes and ends with the
 *   guest; or what a jail shows of its host;
 * - the cgroup that keeps the workload from taking the supervisor's memory.
 *
 * What can be done by a system call of this process is, because the start of each program costs milliseconds, and under
 * emulation tens of them.
 *
 * @throws GUEST_SETUP_FAILED when a step fails
 */
export async function prepareWorkload(run: Run): Promise<void> {
  await step('prepare the environment of the workload', async () => {
    const mounter = await loadMounter();
    const { jail } = place;
    if (jail === undefined) await startAccounting(mounter);
    else makeJailFolders(mounter);
    const scripts = [namespaceSetup, ...(jail === undefined ? [] : [userNamespaceSetup(jail)])];
    const running = Promise.all(scripts.map(({ script, env }) => run(['sh', '-euc', script], { env })));
    // What fails first is told; whoever awaits the other comes later.
    running.catch(() => undefined);
    if (jail === undefined) makeGuestRoot(mounter);
    else if (jail.image === null) makeHostRoot(mounter, jail);
    else await makeImageRoot(run, mounter, jail.image, jail);
    makeCgroup();
    await running;
    await makeNames(mounter);
    if (jail?.image === null) closeHostRoot(mounter);
  });
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

/**
 * What all of the workload weighs where it and the supervisor want the same processor, of which each thread of the supervisor
 * weighs 100: more than these, so that a burst of attempts is answered before all of it is told, and less the later the
 * supervisor is with its record. A workload that keeps all processors busy must not keep its record from being read.
 * Source: cgroup-v2, cpu.weight.
 */
export function weighWorkload(lateness: Lateness): void {
  writeIfAllowed(`${workloadPaths.cgroup}/cpu.weight`, weights[lateness]);
}

const weights: Readonly<Record<Lateness, string>> = { none: '300', some: '100', much: '20' };

/** In a jail the memory is what the host's cgroup has for the sandbox, and root may lack the right to be spared. */
function makeCgroup(): void {
  const { cgroup } = workloadPaths;
  for (const folder of [cgroup, ...premadeExecs.map(execCgroup)]) mkdirSync(folder);
  for (const folder of [dirname(cgroup), cgroup]) {
    for (const controller of ['memory', 'pids']) writeIfAllowed(`${folder}/cgroup.subtree_control`, `+${controller}`);
  }
  if (place.jail === undefined) weighWorkload('none');
  const memoryMiB = place.jail?.memoryMiB;
  const total = memoryMiB ?? Math.floor(totalmem() / 1_048_576);
  const limits = { 'memory.max': (total - reservedMiB) * 1_048_576, 'pids.max': maxProcesses };
  for (const [name, limit] of Object.entries(limits)) {
    if (existsSync(`${cgroup}/${name}`)) writeFileSync(`${cgroup}/${name}`, String(limit));
  }
  if (memoryMiB === undefined) writeFileSync(spared, '-1000');
  else writeIfAllowed(spared, '-1000');
}

/** Whether the kernel ends this process when memory is short. Source: proc_pid_oom_score_adj(5). */
const spared = '/proc/self/oom_score_adj';

function writeIfAllowed(path: string, text: string): void {
  try {
    writeFileSync(path, text);
  } catch {
    // The host keeps no such limit; the driver has said so.
  }
}

async function step(what: string, body: () => Promise<unknown>): Promise<void> {
  try {
    await body();
  } catch (cause) {
    throw new TapwardenError('GUEST_SETUP_FAILED', { message: `Cannot ${what}: ${messageOf(cause)}`, cause });
  }
}
