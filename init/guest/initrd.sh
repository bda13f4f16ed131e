#!/bin/busybox sh
# The first program of the guest: finds the root disk and hands over to its /sbin/init.
# Says what fails on the console and powers off, so that the host sees an end instead of a silence.

say() {
	echo "tapwarden-init: $*"
}

# busybox runs its own applets through /proc/self/exe, so this one call needs the path.
/bin/busybox mount -t proc -o nosuid,nodev,noexec proc /proc

# The host asks whether a guest comes up at all on its accelerator. Nothing else is needed for the answer.
read -r command_line </proc/cmdline
case " $command_line " in
*' tapwarden.probe '*)
	echo tapwarden-probe-ok
	poweroff -f
	;;
esac

# Until the supervisor starts, programs lie where they lay before: an emulator then has their code translated already.
echo 0 >/proc/sys/kernel/randomize_va_space

mount -t devtmpfs -o nosuid,noexec,mode=0755 dev /dev
mkdir -m 0755 /dev/pts /dev/shm

modules=
while read -r module; do
	modules="$modules $module"
done </etc/modules
# shellcheck disable=SC2086 # a list of words
modprobe -a $modules || say 'not all modules are loaded'

# A disk may be found some milliseconds after its driver was loaded.
tries=0
until mount -t ext4 -o ro,nodev /dev/vda /root 2>/run/mount; do
	tries=$((tries + 1))
	if [ "$tries" -gt 300 ]; then
		say "the root disk /dev/vda cannot be mounted"
		cat /run/mount
		poweroff -f
	fi
	usleep 10000
done

mount --move /dev /root/dev
mount --move /proc /root/proc
# /proc has gone ahead, so again the path.
exec /bin/busybox switch_root /root /sbin/init
