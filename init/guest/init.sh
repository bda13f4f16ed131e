#!/bin/busybox sh
# Prepares the guest, starts the supervisor and powers off when that ends.
# The shell stays process 1: `wait` collects every orphan, so no zombie outlives its parent for long.
# Standard output is the serial console. Programs outside busybox are named by path, since its shell prefers applets.

PATH=/usr/sbin:/usr/bin
export PATH

say() {
	echo "tapwarden-init: $*"
}

# The root disk is read-only and shared by all guests: what changes lives in memory. One process for all of /etc/fstab: under
# emulation each start of a program costs 10 to 20 ms.
mount -a || say 'not all of /etc/fstab is mounted'
mkdir -m 0755 /run/netns

# A controller that the kernel lacks must not keep the others from being enabled: one write each.
read -r controllers </sys/fs/cgroup/cgroup.controllers
for controller in cpu memory pids; do
	case " $controllers " in
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

# In the order of the list. What an absent module means is for the supervisor to decide, which asks the kernel what it can do.
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

# All is loaded. From here on not even root brings new code into the kernel.
echo 1 >/proc/sys/kernel/modules_disabled

# Lines of the fence are logged at level 6 and would each hold the guest on the serial line (about 1 ms).
echo 4 >/proc/sys/kernel/printk

# What lives on, and the workload, lies where nobody can know; see initrd.sh.
echo 2 >/proc/sys/kernel/randomize_va_space

env -i PATH=/usr/sbin:/usr/bin HOME=/run LANG=C.UTF-8 /usr/bin/node /usr/lib/tapwarden/load-program.cjs /usr/lib/tapwarden/supervisor.cjs &
wait "$!"
say "supervisor ended with status $?"
poweroff -f
