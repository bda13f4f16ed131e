import { access, readFile } from 'node:fs/promises';
import type { Run } from '../../base/index.ts';
import { readCgroupSupport } from '../../driver-vm/index.ts';
import type { Finding } from './finding.ts';
import { type JailTrial, judgeDmesg, judgeJail, judgeJailLimits } from './judge-jail.ts';

/** A user that nobody else is, below those of sandboxes. */
const trialUid = 1_899_999_997;

/** The user namespace of a jail, and the limit in it, as a jail's supervisor makes them. */
const userNamespace = `
setpriv --reuid="$ID" --regid="$ID" --clear-groups --inh-caps=+sys_admin --ambient-caps=+sys_admin -- \\
  unshare --user --keep-caps sh -c 'echo 0 >/proc/sys/user/max_user_namespaces'
`;

/** The mounts of a jail's supervisor, in a mount namespace that ends with the trial. */
const mounts = `
mount -t tmpfs tmpfs /run
mkdir /run/upper /run/work /run/etc /run/cgroup
mount -t overlay -o lowerdir=/etc,upperdir=/run/upper,workdir=/run/work overlay /run/etc
mount -t cgroup2 cgroup2 /run/cgroup
`;

/** What the host must do for `run --jail`, each tried as a jail does it. None of it keeps virtual machines from running. */
export async function examineJail(run: Run): Promise<readonly Finding[]> {
  const trials: readonly JailTrial[] = [
    { what: 'a user namespace with a limit of its own', works: await succeeds(run, [], userNamespace) },
    { what: 'overlayfs and cgroup v2', works: await succeeds(run, ['unshare', '--mount', '--net', '--'], mounts) },
  ];
  const { v2, missing } = await readCgroupSupport();
  const dmesg = await readFile('/proc/sys/kernel/dmesg_restrict', 'utf8').catch(() => '1');
  return [
    judgeJail(
      [
        ...trials,
        { what: 'a mounted cgroup v2', works: v2 },
        { what: 'IPv6', works: await isThere('/proc/sys/net/ipv6') },
      ],
      await isThere('/proc/sys/net/netfilter/nf_log_all_netns'),
    ),
    judgeJailLimits(missing),
    judgeDmesg(dmesg),
  ];
}

async function isThere(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}

async function succeeds(run: Run, enter: readonly string[], script: string): Promise<boolean> {
  const [first = 'sh', ...rest] = [...enter, 'sh', '-euc', script];
  return await run([first, ...rest], { env: { ID: String(trialUid) } }).then(
    () => true,
    () => false,
  );
}
