#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# INTx through a split irqchip's IOAPIC: an NVMe under pci=nomsi, resampled at the guest's EOI, on
# one line with an e1000 whose interrupts go through user space, as on a kernel without resampling.

# shellcheck source=tests/lab/lib.sh
. "$(dirname -- "$(readlink -f -- "$0")")/lib.sh"
# shellcheck source=tests/lab/intx.sh
. "$HERE/intx.sh"

if in_lab; then
	mkdir -p "$WORK"
	check "given to vfio-pci" quiet "$VV_BUILD/tools/vfio-bind" "$LAB_E1000" "$LAB_NVME"
	one split "$LAB_E1000 can't be reset|$LAB_E1000: INTx goes through user space" \
		"$LAB_E1000,bus=pci.0,addr=05,x-no-resample=on" "$LAB_NVME,bus=pci.0,addr=0d"
	check "the VMM says that the e1000's INTx is slow" grep -q \
		"$LAB_E1000: INTx goes through user space, which is slow: x-no-resample=on" "$WORK/split.txt.err"
	check "given back" quiet "$VV_BUILD/tools/vfio-bind" --restore
	finish
fi
intx_start
