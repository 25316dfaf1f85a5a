#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# vfio-vmm with an assigned e1000e: DHCP, 100 pings, every MSI-X counter moves; and the path of an
# interrupt: while the guest pings, no thread of the VMM but the vCPU's wakes up for it, and they
# come (kvm_msi_set_irq) without exits to user space (kvm_userspace_exit).

# shellcheck source=tests/lab/lib.sh
. "$(dirname -- "$(readlink -f -- "$0")")/lib.sh"

TRACE=/sys/kernel/tracing

# Sum of voluntary context switches of all threads of $1 that are no vCPU's.
switches()
{
	local task sum=0 n

	for task in "/proc/$1/task/"*; do
		! grep -q '^vcpu' "$task/comm" || continue
		n=$(sed -n 's/^voluntary_ctxt_switches:\t//p' "$task/status")
		sum=$((sum + n))
	done
	echo $sum
}

count()
{
	grep -c " $1:" "$WORK/trace"
}

watch_quiet()
{
	local pid=$1 log=$2 before after

	for _ in $(seq 1200); do
		! grep -q '^guest: quiet from here' "$log" || break
		kill -0 "$pid" 2>/dev/null || return 1
		sleep 0.1
	done
	sleep 1
	echo >$TRACE/trace
	before=$(switches "$pid")
	echo 1 >$TRACE/events/kvm/kvm_userspace_exit/enable
	echo 1 >$TRACE/events/kvm/kvm_msi_set_irq/enable
	sleep 15
	echo 0 >$TRACE/events/kvm/kvm_userspace_exit/enable
	echo 0 >$TRACE/events/kvm/kvm_msi_set_irq/enable
	after=$(switches "$pid")
	check "the guest was still pinging" not grep -q '^guest: quiet ended' "$log"
	cp $TRACE/trace "$WORK/trace"
	echo "     $(count kvm_msi_set_irq) interrupts, $(count kvm_userspace_exit) exits to user space," \
		"$((after - before)) wake-ups of other threads"
	check "at least 100 interrupts were seen" [ "$(count kvm_msi_set_irq)" -ge 100 ]
	# Twice a second it is looked whether the function is still there.
	check "no other thread woke up for them" [ $((after - before)) -le 40 ]
	check "exits do not come with interrupts" [ "$(count kvm_userspace_exit)" -le 5 ]
}

if in_lab; then
	mkdir -p "$WORK"
	log=$WORK/log
	: >"$log"
	check "e1000e given to vfio-pci" quiet "$VV_BUILD/tools/vfio-bind" "$LAB_NIC"
	"$VV_BUILD/tools/vfio-vmm" --assign "$LAB_NIC" --kernel "$LAB_GUEST_KERNEL" \
		--initrd "$WORK/net.cpio" --memory 256 --cmdline "$GUEST_WORDS" \
		</dev/null >"$log" 2>&1 &
	pid=$!
	watch_quiet $pid "$log"
	wait $pid
	check "VMM ended with 0" equal $? 0
	tr -d '\r' <"$log" >"$log.txt"
	sed 's/^/     | /' "$log.txt" | grep -v 'bytes from'
	check "DHCP" grep -q '^guest: eth0 has 10.0.2.15 by DHCP' "$log.txt"
	check "100 of 100 pings" grep -q ' 100 packets received' "$log.txt"
	check "three MSI-X vectors" equal "$(grep -c '^guest: irq .*MSI.*eth0' "$log.txt")" 3
	check "every counter moved" not grep -qE '^guest: irq [0-9]+: +0 ' "$log.txt"
	check "the guest warns of nothing that the lab does not" guest_warnings "$log.txt"
	check "given back" quiet "$VV_BUILD/tools/vfio-bind" --restore "$LAB_NIC"
	modprobe e1000e
	echo "$LAB_NIC" >/sys/bus/pci/drivers_probe
	check "works on the host again" nic_works "$LAB_NIC"
	finish
fi
guest_kernel
guest net.cpio --module e1000e --script "$HERE/guests/quiet"
lab_self --env LAB_GUEST_KERNEL="$LAB_GUEST_KERNEL"
