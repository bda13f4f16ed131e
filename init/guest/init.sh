#!/bin/busybox sh
# Prepares the guest, starts the supervisor and powers off when that ends.
# The shell stays process 1: `wait` collects every orphan, so no zombie outlives its parent for long.
# Standard output is the serial console. Programs outside busybox are named by path, since its shell prefers applets.

PATH=/usr/sbin:/usr/bin
export PATH

say() {
	echo "tapwarden-init: $*"
}

# The root disk is read-only and shared by all guests: what changes lives in memory.
mount -t sysfs -o nosuid,nodev,noexec sysfs /sys
mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 /sys/fs/cgroup
mount -t tmpfs -o nosuid,nodev,mode=0755 tmpfs /run
mount -t tmpfs -o nosuid,nodev,mode=1777 tmpfs /tmp
mkdir -m 0755 /dev/pts /dev/shm /run/netns
mount -t devpts -o nosuid,noexec,gid=5,mode=0620,ptmxmode=0666 devpts /dev/pts
mount -t tmpfs -o nosuid,nodev,noexec,mode=1777 tmpfs /dev/shm

# A controller that the kernel lacks must not keep the others from being enabled: one write each.
for controller in cpu memory pids; do
	case " $(cat /sys/fs/cgroup/cgroup.controllers) " in
	*" $controller "*) echo "+$controller" >/sys/fs/cgroup/cgroup.subtree_control ;;
	*) say "cgroup controller $controller is absent" ;;
	esac
done

# Before the modules: eth0 takes its IPv6 settings from the defaults of the moment in which it appears.
# A leading minus marks a setting that only some kernels have, as in sysctl.d(5).
while IFS='= ' read -r name value; do
	case $name in
	'' | '#'*) continue ;;
	-*) name=${name#-} optional=yes ;;
	*) optional=no ;;
	esac
	if [ -e "/proc/sys/$name" ]; then
		echo "$value" >"/proc/sys/$name" || say "setting $name is refused"
	elif [ "$optional" = no ]; then
		say "setting $name is absent"
	fi
done </etc/tapwarden/sysctl.conf

# One process for all modules, in the order of the list: under emulation each start of a program costs 5 to 10 ms.
# What an absent module means is for the supervisor to decide, which asks the kernel what it can do.
read -r release </proc/sys/kernel/osrelease
modules=
while read -r module; do
	if [ -e "/lib/modules/$release/$module.ko" ]; then
		modules="$modules $module"
	else
		say "module $module is absent"
	fi
done </etc/tapwarden/modules
# shellcheck disable=SC2086 # a list of words
modprobe -a $modules || say 'not all modules are loaded'

# -force goes on after a line that fails, so that the console has every failure.
/usr/sbin/ip -force -batch /etc/tapwarden/network.batch || say 'the network is not set up as it should be'

# The kernel notes how each process ended; only so is a command that exits with 143 told from one that SIGTERM ended.
# The records have a small filesystem of their own: when it is full, the kernel stops noting and all else goes on.
mkdir -m 0700 /run/accounting
mount -t tmpfs -o nosuid,nodev,noexec,mode=0700,size=16m tmpfs /run/accounting
: >/run/accounting/records
/usr/sbin/accton /run/accounting/records >/run/accton.log || say 'the kernel keeps no process accounting'

# All is loaded. From here on not even root brings new code into the kernel.
echo 1 >/proc/sys/kernel/modules_disabled

# Lines of the fence are logged at level 6 and would each hold the guest on the serial line (about 1 ms).
echo 4 >/proc/sys/kernel/printk

env -i PATH=/usr/sbin:/usr/bin HOME=/run LANG=C.UTF-8 /usr/bin/node /usr/lib/tapwarden/load-program.cjs /usr/lib/tapwarden/supervisor.cjs &
wait "$!"
say "supervisor ended with status $?"
poweroff -f
