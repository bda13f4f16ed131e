import type { Mounter } from '../base/index.ts';
import { workloadUser } from '../init/contract.ts';
import type { JailPlan } from '../init/jail-plan.ts';
import { cgroupMount } from './place.ts';
import { type Setup, workloadPaths } from './workload-layout.ts';

/**
 * What comes first in a jail: the supervisor's own mount namespace, which ends with it, gets the folders of a guest. /run is
 * empty, and cgroup v2 stands where nft looks for it.
 */
export function makeJailFolders({ mount }: Mounter): void {
  const flags = ['noSetuid', 'noDevices'] as const;
  mount({ source: 'tmpfs', target: '/run', type: 'tmpfs', flags, options: 'mode=0755' });
  mount({ source: 'cgroup2', target: cgroupMount, type: 'cgroup2', flags: [...flags, 'noExec'] });
}

/**
 * Makes a user namespace for the workload of a jail. In it one user exists, who is the workload's on the host under another number. It has no room for user
 * namespaces below it: the limit is its own, and that of the host stays as it is. Its maker runs as the workload's user,
 * so that bwrap, which runs as the same, has every right in it and none outside. Source: user_namespaces(7), namespaces(7).
 */
export function userNamespaceSetup({ uid }: JailPlan): Setup {
  return {
    script: `
: >"$USER_NS"
mkfifo -m 0600 /run/user-in /run/user-out
setpriv --reuid="$ID" --regid="$ID" --clear-groups --inh-caps=+sys_admin --ambient-caps=+sys_admin -- \\
  unshare --user --keep-caps \\
  sh -c 'echo 0 >/proc/sys/user/max_user_namespaces && echo ready; read -r _' </run/user-in >/run/user-out &
exec 8>/run/user-in
read -r _ </run/user-out
echo "$INNER_ID $ID 1" >"/proc/$!/uid_map"
echo "$INNER_ID $ID 1" >"/proc/$!/gid_map"
mount --bind "/proc/$!/ns/user" "$USER_NS"
exec 8>&-
rm /run/user-in /run/user-out
`,
    env: {
      USER_NS: workloadPaths.user,
      ID: String(uid),
      INNER_ID: String(workloadUser.uid),
    },
  };
}
