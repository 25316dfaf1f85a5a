#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Five functions at once in a guest with 2 vCPUs: an NVMe, an e1000e, an e1000 (INTx only), and the
# two functions (an e1000 and an edu) of one IOMMU group, assigned whole. All are used; the host's
# drivers have them back at the end.

# shellcheck source=tests/lab/lib.sh
. "$(dirname -- "$(readlink -f -- "$0")")/lib.sh"

if in_lab; then
	mkdir -p "$WORK"
	read -r pair0 pair1 <<<"$LAB_PAIR"
	check "all given to vfio-pci" quiet "$VV_BUILD/tools/vfio-bind" --group "$LAB_NIC" "$LAB_NVME" \
		"$LAB_E1000" "$pair0"
	check "the other of the group, too" equal "$(driver_of "$pair1")" vfio-pci
	run_guest vfio-vmm 512 2 "$LAB_GUEST_KERNEL" "$WORK/many.cpio" "$GUEST_WORDS" \
		"$LAB_NIC" "$LAB_NVME" "$LAB_E1000" "$pair0,group=on" | tr -d '\r' | tee "$WORK/log.txt"
	check "VMM ended with 0" equal "${PIPESTATUS[0]}" 0
	check "64 MiB read intact" grep -q '^guest: read 52d012e85fe2b403' "$WORK/log.txt"
	for driver in e1000e e1000 e1000; do echo $driver; done | sort | uniq -c >"$WORK/want"
	sed -n 's/^guest: \(.*\) 50 of 50 pings$/\1/p' "$WORK/log.txt" | sort | uniq -c >"$WORK/have"
	check "50 of 50 pings of each network card meanwhile" \
		equal "$(cat "$WORK/have")" "$(cat "$WORK/want")"
	check "edu answers" grep -q '^guest: edu 0x010000ED, inverted 0xEDCBA987$' "$WORK/log.txt"
	check "2 CPUs" grep -q '^guest: 2 CPUs' "$WORK/log.txt"
	check "the guest warns of nothing that the lab does not" guest_warnings "$WORK/log.txt"
	check "given back" quiet "$VV_BUILD/tools/vfio-bind" --restore
	modprobe -a e1000 e1000e
	for bdf in $LAB_NIC $LAB_E1000 $pair0; do
		# There its DMA is lost after any VMM had it, QEMU or this one: a function behind
		# a conventional bridge, under the emulated Intel IOMMU.
		case $(uname -r):$LAB_IOMMU:$bdf in
		6.12.*:intel:"$pair0") echo "left out: $bdf on the host"; continue ;;
		esac
		[ -n "$(driver_of "$bdf")" ] || echo "$bdf" >/sys/bus/pci/drivers_probe
		check "$bdf works on the host" nic_works "$bdf"
	done
	finish
fi
guest_kernel
guest many.cpio --module e1000e,e1000,nvme --script "$HERE/guests/many"
lab_self --cpus 2 --env LAB_GUEST_KERNEL="$LAB_GUEST_KERNEL"
