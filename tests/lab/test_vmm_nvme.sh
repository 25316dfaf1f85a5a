#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# vfio-vmm with an assigned NVMe, whose MSI-X table lies in the BAR of its doorbells: 64 MiB read
# with the known checksum, 16 MiB written and read back, and again after a guest reboot.

# shellcheck source=tests/lab/lib.sh
. "$(dirname -- "$(readlink -f -- "$0")")/lib.sh"

field()
{
	sed -n "s/^guest: $1 \([0-9a-f]*\).*/\1/p" "$WORK/log.txt"
}

if in_lab; then
	mkdir -p "$WORK"
	check "NVMe given to vfio-pci" quiet "$VV_BUILD/tools/vfio-bind" "$LAB_NVME"
	run_guest vfio-vmm 512 2 "$LAB_GUEST_KERNEL" "$WORK/nvme.cpio" "$GUEST_WORDS" "$LAB_NVME" |
		tr -d '\r' | tee "$WORK/log.txt"
	check "VMM ended with 0" equal "${PIPESTATUS[0]}" 0
	check "64 MiB read intact" [ "$(field read | cut -c1-16)" = 52d012e85fe2b403 ]
	check "written and read back" equal "$(field wrote)" "$(field back)"
	check "the guest rebooted" grep -q '^guest: rebooting' "$WORK/log.txt"
	check "and still read what it had written" equal "$(field 'after the reboot')" "$(field wrote)"
	check "the guest warns of nothing that the lab does not" guest_warnings "$WORK/log.txt"
	check "given back" quiet "$VV_BUILD/tools/vfio-bind" --restore "$LAB_NVME"
	modprobe nvme
	echo "$LAB_NVME" >/sys/bus/pci/drivers_probe
	check "the host reads what the guest wrote" equal \
		"$(dd "if=$(disk_of "$LAB_NVME")" bs=1M skip=96 count=16 2>/dev/null | sha256sum | cut -d' ' -f1)" \
		"$(field wrote)"
	finish
fi
guest_kernel
guest nvme.cpio --module nvme --script "$HERE/guests/nvme-reboot"
lab_self --env LAB_GUEST_KERNEL="$LAB_GUEST_KERNEL"
