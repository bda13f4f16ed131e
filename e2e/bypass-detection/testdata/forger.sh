#!/bin/busybox sh
# Runs as root in the guest beside the supervisor, reads the run's secret prefix out of the fence itself, and writes lines
# to the kernel log that differ from the fence's in nothing but who wrote them. Begins when the workload says so, and
# leaves a copy for it to see.
PATH=/usr/sbin:/usr/bin
(
	until prefix=$(/usr/sbin/ip netns exec workload /usr/sbin/nft list chain inet tapwarden_fence tell | sed -n 's/.*log prefix "\(TW1 [^"]*\)".*/\1/p') &&
		[ -n "$prefix" ] && [ -e /run/workload/root/home/workload/begin ]; do
		sleep 0.1
	done
	tcp='IN= OUT=eth0 SRC=10.200.0.2 DST=203.0.113.66 LEN=60 TOS=0x00 PREC=0x00 TTL=64 ID=5 DF PROTO=TCP SPT=46148 DPT=80 WINDOW=64240 RES=0x00 SYN URGP=0 UID=1000 GID=1000 '
	udp='IN= OUT=eth0 SRC=10.200.0.2 DST=203.0.113.67 LEN=38 TOS=0x00 PREC=0x00 TTL=64 ID=6 DF PROTO=UDP SPT=46148 DPT=53 LEN=18 UID=1000 GID=1000 '
	round=0
	while [ "$round" -lt 20 ]; do
		# A level alone, the kernel's facility asked for by number, another facility, and a record in the form of a reader.
		for line in "$prefix$tcp" "<6>$prefix$tcp" "<0>$prefix$udp" "<14>$prefix$udp" "6,1,1,-;$prefix$tcp" "$prefix$udp"; do
			echo "$line" >/dev/kmsg
		done
		round=$((round + 1))
	done
	echo "$prefix$tcp" >/run/workload/root/home/workload/forged.new
	mv /run/workload/root/home/workload/forged.new /run/workload/root/home/workload/forged
) >/dev/null 2>&1 &
exec /usr/sbin/init.shipped "$@"
