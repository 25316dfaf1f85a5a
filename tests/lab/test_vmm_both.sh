#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# NIC and NVMe assigned at once to a guest with 2 vCPUs and 4.5 GiB, so that RAM lies on both
# sides of the PCI hole; and behind a PCI Express switch.

# shellcheck source=tests/lab/lib.sh
. "$(dirname -- "$(readlink -f -- "$0")")/lib.sh"

if in_lab; then
	mkdir -p "$WORK"
	check "both given to vfio-pci" quiet "$VV_BUILD/tools/vfio-bind" "$LAB_NIC" "$LAB_NVME"
	run_guest vfio-vmm 4608 2 "$LAB_GUEST_KERNEL" "$WORK/both.cpio" "$GUEST_WORDS" \
		pcie-root-port,id=top pcie-switch,id=switch,bus=top \
		pcie-switch-port,id=left,bus=switch pcie-switch-port,id=right,bus=switch \
		"$LAB_NIC,bus=left" "$LAB_NVME,bus=right" | tr -d '\r' | tee "$WORK/log.txt"
	check "VMM ended with 0" equal "${PIPESTATUS[0]}" 0
	check "64 MiB read intact" grep -q '^guest: read 52d012e85fe2b403' "$WORK/log.txt"
	check "50 of 50 pings meanwhile" grep -q '^guest: pings 50$' "$WORK/log.txt"
	check "the NIC is in the switch's first slot" \
		grep -qE '^guest: at ([0-9a-f:]+/)?pci0000:00/0000:00:[0-9a-f.]+/0000:01:00.0/0000:02:00.0/0000:03:00.0$' "$WORK/log.txt"
	check "and the NVMe disk in its second" \
		grep -qE '^guest: at .*/0000:01:00.0/0000:02:01.0/0000:04:00.0$' "$WORK/log.txt"
	check "2 CPUs" grep -q '^guest: memory .* 2 CPUs' "$WORK/log.txt"
	check "memory above 4 GiB" grep -qE '^guest: iomem 100000000-' "$WORK/log.txt"
	check "more than 4.2 GiB of it" [ \
		"$(sed -n 's/^guest: memory \([0-9]*\) kB.*/\1/p' "$WORK/log.txt")" -gt 4400000 ]
	check "the guest warns of nothing that the lab does not" guest_warnings "$WORK/log.txt"
	check "given back" quiet "$VV_BUILD/tools/vfio-bind" --restore
	finish
fi
guest_kernel
guest both.cpio --module e1000e,nvme --script "$HERE/guests/both"
lab_self --memory 7G --env LAB_GUEST_KERNEL="$LAB_GUEST_KERNEL"
