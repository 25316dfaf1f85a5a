#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Three reboots of a guest in a row: each time it comes up again, the assigned NIC has an address
# and answers. The fourth time the VMM is killed, and the host's driver has the NIC, which works.

# shellcheck source=tests/lab/lib.sh
. "$(dirname -- "$(readlink -f -- "$0")")/lib.sh"
# shellcheck source=tests/lab/life.sh
. "$HERE/life.sh"
REBOOTS=${LAB_TEST_REBOOTS:-3}

# shellcheck disable=SC2317 # called through check
traffic()
{
	until_true 150 eval "[ \$(grep -c '^guest: traffic, then' '$LOG') -ge $1 ]" ||
		{ tail -n 20 "$LOG" | sed 's/^/     | /'; return 1; }
}

if in_lab; then
	mkdir -p "$WORK"
	check "bound" quiet "$VV_BUILD/tools/vfio-bind" "$LAB_NIC"
	"$VV_BUILD/tools/vfio-vmm" --assign "$LAB_NIC" --kernel "$LAB_GUEST_KERNEL" \
		--initrd "$WORK/reboots.cpio" --memory 256 --cmdline "$GUEST_WORDS" \
		</dev/null >"$LOG" 2>&1 &
	PID=$!
	check "traffic after the start" traffic 1
	for ((n = 1; n <= REBOOTS; n++)); do
		check "traffic after reboot $n" traffic $((n + 1))
	done
	kill -9 "$PID"
	check "killed" ended 137
	check "given back" quiet "$VV_BUILD/tools/vfio-bind" --restore
	check "works on the host" quiet host_works "$LAB_NIC" e1000e
	finish
fi
guest_kernel
guest reboots.cpio --module e1000e --script "$HERE/guests/reboots"
LAB_TEST_TIMEOUT=${LAB_TEST_TIMEOUT:-$((180 + 45 * REBOOTS))}
lab_self --env LAB_GUEST_KERNEL="$LAB_GUEST_KERNEL" --env LAB_TEST_REBOOTS="$REBOOTS"
