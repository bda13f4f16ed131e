import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { inNetworkNamespace, type Mounter, type Run } from '../base/index.ts';
import { disks, guestPaths, workloadUser } from '../init/contract.ts';
import type { JailPlan } from '../init/jail-plan.ts';
import { workloadNet } from './addresses.ts';
import { workloadHostname, workloadPaths } from './workload-layout.ts';

/**
 * The workload's root in a guest: the read-only image, and over it a layer in memory that takes what the workload writes and
 * ends with the guest.
 */
export function makeGuestRoot({ mount }: Mounter): void {
  const { base, root } = makeFolders();
  mount({
    source: disks.workloadRoot,
    target: guestPaths.workloadMount,
    type: 'ext4',
    flags: ['readOnly', 'noDevices'],
  });
  mount({ source: 'tmpfs', target: base, type: 'tmpfs', flags: ['noDevices'], options: 'mode=0755' });
  makeLayers(base);
  mount({
    source: 'overlay',
    target: root,
    type: 'overlay',
    flags: ['noDevices'],
    options: layerOptions(guestPaths.workloadMount, base),
  });
}

/**
 * The workload's root in a jail, as an image, with a layer in memory above, in which the home belongs to the jail's user. What
 * bwrap mounts on is made here: in its user namespace the image's own users do not exist, and it has no right over their
 * folders.
 */
export async function makeImageRoot(
  run: Run,
  { mount }: Mounter,
  image: string,
  { uid, memoryMiB }: JailPlan,
): Promise<void> {
  const { base, root } = makeFolders();
  const lower = '/run/workload-image';
  mkdirSync(lower, { recursive: true });
  // By mount(8), which finds a loop device.
  await run(['mount', '-t', 'ext4', '-o', 'ro,nosuid,nodev,loop', image, lower]);
  mount(memoryAt(base, memoryMiB));
  makeLayers(base);
  mount({
    source: 'overlay',
    target: root,
    type: 'overlay',
    flags: ['noSetuid', 'noDevices'],
    options: layerOptions(lower, base),
  });
  for (const name of ['dev', 'proc', 'run', 'sys']) mkdirSync(`${root}/${name}`, { recursive: true });
  const script = '[ ! -d "$HOME_FOLDER" ] || chown -R -h "$ID:$ID" "$HOME_FOLDER"';
  await run(['sh', '-euc', script], { env: { HOME_FOLDER: `${root}${workloadUser.home}`, ID: String(uid) } });
}

/** Gives the workload the /sys of its network namespace, and the names that it knows. */
export async function makeNames({ mount }: Mounter): Promise<void> {
  const flags = ['readOnly', 'noSetuid', 'noDevices', 'noExec'] as const;
  const namespace = `/run/netns/${workloadNet.namespace}`;
  await inNetworkNamespace(namespace, () =>
    mount({ source: 'sysfs', target: workloadPaths.sys, type: 'sysfs', flags }),
  );
  const settings = `${workloadPaths.root}/etc`;
  mkdirSync(settings, { recursive: true });
  // Where the image has links in place of the files, these are replaced and not written through.
  for (const name of ['resolv.conf', 'hosts']) rmSync(`${settings}/${name}`, { force: true });
  // Nobody answers there: a look-up past the proxy is refused and seen, instead of lost inside the workload.
  writeFileSync(`${settings}/resolv.conf`, `nameserver ${workloadNet.supervisorIp4}\n`);
  writeFileSync(`${settings}/hosts`, `127.0.0.1 localhost\n::1 localhost\n127.0.1.1 ${workloadHostname}\n`);
}

/** The folder of all that is the workload's, and the one in it that becomes its root. */
export function makeFolders(): { readonly base: string; readonly root: string } {
  const { root, execs } = workloadPaths;
  const base = dirname(root);
  for (const folder of [base, execs]) mkdirSync(folder, { recursive: true });
  return { base, root };
}

/** Makes the folders of a layer in memory, and what is mounted on. */
export function makeLayers(base: string): void {
  const folders = [`${base}/upper`, `${base}/work`, workloadPaths.root, workloadPaths.sys];
  for (const folder of folders) mkdirSync(folder, { recursive: true });
}

/** What makes a folder one in memory, for a jail. */
export function memoryAt(target: string, memoryMiB: number): Parameters<Mounter['mount']>[0] {
  const flags = ['noSetuid', 'noDevices'] as const;
  return { source: 'tmpfs', target, type: 'tmpfs', flags, options: `mode=0755,size=${memoryMiB}m` };
}

/** The options of an overlay whose layer was made by {@link makeLayers}. */
export function layerOptions(lower: string, base: string): string {
  return `lowerdir=${lower},upperdir=${base}/upper,workdir=${base}/work`;
}
