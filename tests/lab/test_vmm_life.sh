#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A guest loses its assigned NIC and gets another, LAB_TEST_ROUNDS times (3) each way: the host asks
# for it (device_del on QEMU's monitor presses the slot's button, the lab's kernel unbinds it); power
# is switched off under it. Then its errors (AER): non-fatal ones are mended, a fatal one ends the VM
# cleanly at worst. Each time the guest's driver has a card again, with DHCP and pings. LAB_LIFE says
# which of it: r (request), s (surprise), e (errors); default rse.

# shellcheck source=tests/lab/lib.sh
. "$(dirname -- "$(readlink -f -- "$0")")/lib.sh"
# shellcheck source=tests/lab/life.sh
. "$HERE/life.sh"
ROUNDS=${LAB_TEST_ROUNDS:-3}
ERROR_NIC=0000:06:00.0 # behind the port "spare"
NIC_PORT=00:04.0

now_ms()
{
	echo $((${EPOCHREALTIME/./} / 1000))
}

# The slot on the host is empty now: a new card.
# shellcheck disable=SC2317 # called through check
new_card()
{
	local i

	# QEMU knows the old one for a moment longer than the host's kernel.
	for i in 1 2 3 4 5 6 7 8 9 10; do
		quiet lab-monitor \
			'device_add e1000e,id=nic,bus=rp3,netdev=net0,mac=52:54:00:1a:b0:01' && break
		sleep 1
	done
	until_true 30 [ -e "/sys/bus/pci/devices/$LAB_NIC/config" ]
}

back()
{
	check "$1: the host has a new card" new_card
	check "$1: bound" quiet "$VV_BUILD/tools/vfio-bind" "$LAB_NIC"
	back_in_guest "$1" "$LAB_NIC"
}

round_request()
{
	check "$1: the host asks" quiet lab-monitor 'device_del nic'
	check "$1: left" left 40
	check "$1: nothing of VFIO is open" group_free
	check "$1: gone from the host" until_true 10 [ ! -e "/sys/bus/pci/devices/$LAB_NIC" ]
	back "$1"
}

# Nobody tells the VM: the lab's kernel finds the power off and takes the card for removed already.
round_surprise()
{
	local before

	before=$(now_ms)
	check "$1: power off" setpci -s "$NIC_PORT" CAP_EXP+18.w=0700:0700
	check "$1: left" left 20
	echo "     after $(($(now_ms) - before)) ms"
	check "$1: nothing of VFIO is open" group_free
	check "$1: the host removes what is left of it" timeout 10 \
		sh -c "echo 1 >/sys/bus/pci/devices/$LAB_NIC/remove"
	back "$1"
}

round_error()
{
	local before=$SECONDS

	check "$1: injected" quiet lab-monitor 'pcie_aer_inject_error vnet COMP_TIME'
	check "$1: told" until_true 20 told DEVICE_ERROR "$2"
	ROUND=$((ROUND + 1))
	check "$1: works again" working 120
	# More than three a minute are not mended.
	[ "$2" -ge "$ROUNDS" ] || sleep $((before + 20 > SECONDS ? before + 20 - SECONDS : 0))
}

errors()
{
	local i

	check "errors: the other left" quiet control device_del '{"id": "nic"}'
	check "errors: left" left 20
	check "errors: bound" quiet "$VV_BUILD/tools/vfio-bind" "$ERROR_NIC"
	back_in_guest "errors" "$ERROR_NIC" ', "on-error": "reset"'
	for ((i = 1; i <= ROUNDS; i++)); do
		round_error "error $i" "$i"
	done
	check "fatal error: injected" quiet lab-monitor 'pcie_aer_inject_error vnet MALF_TLP'
	sleep 5
}

# ended_cleanly: by "quit", or by the loss of a device.
# shellcheck disable=SC2317 # called through check
ended_cleanly()
{
	local status

	until_true 30 [ ! -e "/proc/$PID/exe" ] || { echo "     it has not ended"; return 1; }
	wait "$PID"
	status=$?
	[ "$status" -eq 0 ] || [ "$status" -eq 4 ] || { echo "     status $status"; return 1; }
}

if in_lab; then
	mkdir -p "$WORK"
	check "bound" quiet "$VV_BUILD/tools/vfio-bind" "$LAB_NIC"
	check "works in the guest" start_rounds --assign "$LAB_NIC,id=nic"
	for ((i = 1; i <= ROUNDS; i++)); do
		[[ $LAB_LIFE != *r* ]] || round_request "request $i"
		[[ $LAB_LIFE != *s* ]] || round_surprise "surprise $i"
	done
	[[ $LAB_LIFE != *e* ]] || errors
	quiet control quit
	check "ended well" ended_cleanly
	check "nothing of the VM's is left" not quiet pgrep -x vfio-vmm
	check "the lab's kernel has nothing to complain of" not quiet sh -c "dmesg | grep -E 'BUG:|Oops|blocked for more'"
	check "given back" quiet "$VV_BUILD/tools/vfio-bind" --restore "$LAB_NIC"
	check "works on the host" quiet host_works "$LAB_NIC" e1000e
	finish
fi
guest_kernel
guest rounds.cpio --module e1000e,virtio_pci,virtio_net --script "$HERE/guests/rounds"
LAB_TEST_TIMEOUT=${LAB_TEST_TIMEOUT:-$((300 + 120 * ROUNDS))}
lab_self --env LAB_GUEST_KERNEL="$LAB_GUEST_KERNEL" --env LAB_TEST_ROUNDS="$ROUNDS" \
	--env LAB_LIFE="${LAB_LIFE:-rse}" \
	--qemu -global --qemu ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off \
	--qemu -netdev --qemu user,id=net3,restrict=on,ipv6=off \
	--device virtio-net-pci,id=vnet,bus=spare,netdev=net3,aer=on,disable-legacy=on,iommu_platform=on
