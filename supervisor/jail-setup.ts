import { workloadUser } from '../init/contract.ts';
import type { JailPlan } from '../init/jail-plan.ts';
import { cgroupMount } from './place.ts';
import { type Setup, workloadPaths } from './workload-layout.ts';

/**
 * What comes first in a jail: the supervisor's own mount namespace, which ends with it, gets the folders of a guest. /run is
 * empty, cgroup v2 stands where nft looks for it, and a user namespace is made for the workload.
 *
 * In the user namespace one user exists, who is the workload's on the host under another number. It has no room for user
 * namespaces below it: the limit is its own, and that of the host stays as it is. Its maker runs as the workload's user,
 * so that bwrap, which runs as the same, has every right in it and none outside. Source: user_namespaces(7), namespaces(7).
 */
export function jailSetup({ uid }: JailPlan): Setup {
  return {
    script: `
mount -t tmpfs -o nosuid,nodev,mode=0755 tmpfs /run
mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 "$CGROUP_MOUNT"
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
      CGROUP_MOUNT: cgroupMount,
      USER_NS: workloadPaths.user,
      ID: String(uid),
      INNER_ID: String(workloadUser.uid),
    },
  };
}

/**
 * Folders at the top of the host of which the workload sees an empty one: other users' files, what runs, and data. What is
 * left are programs, libraries and settings, of which it reads what every user of the host may.
 */
const hiddenFolders = [
  ...['boot', 'dev', 'home', 'lost+found', 'media', 'mnt', 'proc', 'root', 'run', 'srv', 'sys', 'tmp', 'var'],
] as const;

/**
 * The workload's root as the host's own, read-only: links and folders at the top, each with what is mounted below it. A mount
 * that cannot be made read-only is left out. What the workload writes, in /tmp, /var/tmp and its home, is in memory and ends
 * with the sandbox. /etc has a layer of ours above.
 *
 * It is read-only for the supervisor too, which as root makes a command's working directory in it.
 */
export function hostRootSetup({ uid, memoryMiB, hidden }: JailPlan): Setup {
  return {
    script: `
base=\${ROOT%/*}
links= folders= shown=
for path in /*; do
  name=\${path#/}
  case " $HIDDEN_FOLDERS " in
  *" $name "*) hidden=yes ;;
  *) hidden=no ;;
  esac
  case $name in
  *[!A-Za-z0-9._+-]*) ;;
  *)
    if [ -L "$path" ]; then
      links="$links $path"
    elif [ -d "$path" ]; then
      folders="$folders $ROOT/$name"
      [ $hidden = yes ] || shown="$shown $name"
    fi
    ;;
  esac
done
mkdir -p "$base" "$EXECS"
mount -t tmpfs -o "nosuid,nodev,mode=0755,size=\${MEMORY_MIB}m" tmpfs "$base"
mkdir -p "$ROOT" "$SYS" "$base/upper" "$base/work" "$base/tmp" "$base/var-tmp" "$base/home/$NAME" $folders
chmod 1777 "$base/tmp" "$base/var-tmp"
chown "$ID:$ID" "$base/home/$NAME"
mount --bind "$ROOT" "$ROOT"
[ -z "$links" ] || cp -P $links "$ROOT/"
for name in $shown; do mount -o rbind,ro,nosuid,nodev "/$name" "$ROOT/$name"; done
mounts=$(cat /proc/self/mountinfo)
while read -r _ _ _ _ point options _; do
  case "$point $options" in
  "$ROOT"/*' ro,nosuid,nodev'*) ;;
  "$ROOT"/*)
    point=$(printf '%b' "$point")
    mount -o remount,bind,ro,nosuid,nodev "$point" || umount -l "$point"
    ;;
  esac
done <<MOUNTS
$mounts
MOUNTS
printf '%s' "$HIDDEN" | while read -r path; do
  [ ! -d "$ROOT$path" ] || mount -t tmpfs -o ro,nosuid,nodev,mode=0700,size=4k tmpfs "$ROOT$path"
done
mkdir -p "$ROOT/var/cache" "$ROOT/var/lib" "$ROOT/var/log" "$ROOT/var/tmp" "$ROOT/tmp" "$ROOT/home" "$ROOT/root"
ln -s /run "$ROOT/var/run"
mount --bind "$base/tmp" "$ROOT/tmp"
mount --bind "$base/var-tmp" "$ROOT/var/tmp"
mount --bind "$base/home" "$ROOT/home"
mount -t overlay -o "nosuid,nodev,lowerdir=/etc,upperdir=$base/upper,workdir=$base/work" overlay "$ROOT/etc"
rm -f "$ROOT/etc/passwd" "$ROOT/etc/group"
for file in passwd group; do
  grep -v "^[^:]*:[^:]*:$INNER_ID:" "/etc/$file" >"$ROOT/etc/$file" || [ $? -eq 1 ]
done
echo "$NAME:x:$INNER_ID:$INNER_ID:$NAME:/home/$NAME:/bin/sh" >>"$ROOT/etc/passwd"
echo "$NAME:x:$INNER_ID:" >>"$ROOT/etc/group"
`,
    env: {
      ROOT: workloadPaths.root,
      SYS: workloadPaths.sys,
      EXECS: workloadPaths.execs,
      MEMORY_MIB: String(memoryMiB),
      HIDDEN_FOLDERS: hiddenFolders.join(' '),
      HIDDEN: hidden.map((path) => `${path}\n`).join(''),
      NAME: workloadUser.name,
      ID: String(uid),
      INNER_ID: String(workloadUser.uid),
    },
  };
}

/** What comes last: of the host's own files nothing is left to be written. */
export const hostRootClosing: Setup = {
  script: `
mount -o remount,bind,ro,nosuid,nodev "$ROOT/etc"
mount -o remount,bind,ro,nosuid,nodev "$ROOT"
`,
  env: { ROOT: workloadPaths.root },
};

/**
 * The workload's root as an image, with a layer in memory above, in which the home belongs to the jail's user. What bwrap
 * mounts on is made here: in its user namespace the image's own users do not exist, and it has no right over their folders.
 */
export function imageRootSetup(image: string, { uid, memoryMiB }: JailPlan): Setup {
  return {
    script: `
base=\${ROOT%/*}
mkdir -p "$base" "$EXECS" /run/workload-image
mount -t ext4 -o ro,nosuid,nodev,loop "$IMAGE" /run/workload-image
mount -t tmpfs -o "nosuid,nodev,mode=0755,size=\${MEMORY_MIB}m" tmpfs "$base"
mkdir -p "$base/upper" "$base/work" "$ROOT" "$SYS"
mount -t overlay -o "nosuid,nodev,lowerdir=/run/workload-image,upperdir=$base/upper,workdir=$base/work" overlay "$ROOT"
mkdir -p "$ROOT/dev" "$ROOT/proc" "$ROOT/run" "$ROOT/sys"
[ ! -d "$ROOT$HOME_FOLDER" ] || chown -R -h "$ID:$ID" "$ROOT$HOME_FOLDER"
`,
    env: {
      IMAGE: image,
      ROOT: workloadPaths.root,
      SYS: workloadPaths.sys,
      EXECS: workloadPaths.execs,
      MEMORY_MIB: String(memoryMiB),
      HOME_FOLDER: workloadUser.home,
      ID: String(uid),
    },
  };
}
