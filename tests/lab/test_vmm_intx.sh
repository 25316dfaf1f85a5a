#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Functions that interrupt by their pin: an e1000, which knows nothing else, an e1000e and an NVMe
# under pci=nomsi; e1000 and NVMe share a line. Traffic both ways. What the guest's /proc/interrupts
# says is the proof: IO-APIC, fasteoi, counters that move.

# shellcheck source=tests/lab/lib.sh
. "$(dirname -- "$(readlink -f -- "$0")")/lib.sh"
# shellcheck source=tests/lab/intx.sh
. "$HERE/intx.sh"

if in_lab; then
	mkdir -p "$WORK"
	check "given to vfio-pci" quiet "$VV_BUILD/tools/vfio-bind" "$LAB_E1000" "$LAB_NIC" "$LAB_NVME"
	one on "$LAB_E1000 can't be reset" "$LAB_E1000,bus=pci.0,addr=05" \
		"$LAB_NVME,bus=pci.0,addr=0d" "$LAB_NIC"
	nic e1000e eth1 "$WORK/on.txt"
	check "given back" quiet "$VV_BUILD/tools/vfio-bind" --restore
	modprobe e1000
	echo "$LAB_E1000" >/sys/bus/pci/drivers_probe
	check "the e1000 works on the host again" nic_works "$LAB_E1000"
	finish
fi
intx_start
