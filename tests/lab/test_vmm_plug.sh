#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# An assigned NIC that leaves a running guest and comes back, LAB_TEST_ROUNDS times (3): device_del
# and device_add on the control socket; once for three of them the host unbinds it and binds it
# again. Each time the guest's driver has it again, with DHCP and pings, and in between nothing of
# VFIO is open.

# shellcheck source=tests/lab/lib.sh
. "$(dirname -- "$(readlink -f -- "$0")")/lib.sh"
# shellcheck source=tests/lab/life.sh
. "$HERE/life.sh"
ROUNDS=${LAB_TEST_ROUNDS:-3}

# The writer of `unbind` waits in the kernel until it has the function.
round_unbind()
{
	check "$1: done" timeout 30 sh -c "echo $LAB_NIC >/sys/bus/pci/drivers/vfio-pci/unbind"
	check "$1: left" left 5
	check "$1: nothing of VFIO is open" group_free
	check "$1: bound again" quiet "$VV_BUILD/tools/vfio-bind" "$LAB_NIC"
	back_in_guest "$1" "$LAB_NIC"
}

if in_lab; then
	mkdir -p "$WORK"
	check "bound" quiet "$VV_BUILD/tools/vfio-bind" "$LAB_NIC"
	check "works in the guest" start_rounds --assign "$LAB_NIC,id=nic"
	for ((i = 1; i <= ROUNDS; i++)); do
		check "$i: asked" quiet control device_del '{"id": "nic"}'
		check "$i: left" left 20
		check "$i: nothing of VFIO is open" group_free
		back_in_guest "$i" "$LAB_NIC"
		[ $((i % 3)) -ne 1 ] || round_unbind "unbind $i"
	done
	check "quit" quiet control quit
	check "ended well" ended 0
	check "given back" quiet "$VV_BUILD/tools/vfio-bind" --restore
	check "works on the host" quiet host_works "$LAB_NIC" e1000e
	finish
fi
guest_kernel
guest rounds.cpio --module e1000e --script "$HERE/guests/rounds"
LAB_TEST_TIMEOUT=${LAB_TEST_TIMEOUT:-$((240 + 60 * ROUNDS))}
lab_self --env LAB_GUEST_KERNEL="$LAB_GUEST_KERNEL" --env LAB_TEST_ROUNDS="$ROUNDS"
