#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# vfio-vmm with an assigned USB controller (qemu-xhci): the guest reads the known contents of the
# stick in it, by MSI-X.

# shellcheck source=tests/lab/lib.sh
. "$(dirname -- "$(readlink -f -- "$0")")/lib.sh"

stick()
{
	seq -f 'line %012.0f of the stick' 40000 | head -c 1048576
}

if in_lab; then
	mkdir -p "$WORK"
	XHCI=$(lspci -Dn -d 1b36:000d | cut -d' ' -f1)
	check "the controller is there" [ -n "$XHCI" ]
	check "given to vfio-pci" quiet "$VV_BUILD/tools/vfio-bind" "$XHCI"
	run_guest vfio-vmm 256 1 "$LAB_GUEST_KERNEL" "$WORK/usb.cpio" "$GUEST_WORDS" "$XHCI" |
		tr -d '\r' | tee "$WORK/log.txt"
	check "VMM ended with 0" equal "${PIPESTATUS[0]}" 0
	check "the guest read the stick" equal \
		"$(sed -n 's/^guest: read \([0-9a-f]*\).*/\1/p' "$WORK/log.txt")" \
		"$(stick | sha256sum | cut -d' ' -f1)"
	check "its size" grep -q '^guest: stick 2048 sectors' "$WORK/log.txt"
	check "the controller's interrupts arrived" \
		grep -qE '^guest: irq [0-9]+: +[1-9][0-9]* .*xhci' "$WORK/log.txt"
	# A stick says this whenever a driver begins with it.
	grep -v 'Power-on or device reset occurred' "$WORK/log.txt" >"$WORK/rest.txt"
	check "the guest warns of nothing that the lab does not" guest_warnings "$WORK/rest.txt"
	check "given back" quiet "$VV_BUILD/tools/vfio-bind" --restore "$XHCI"
	finish
fi
guest_kernel
guest usb.cpio --module xhci_pci,usb_storage,sd_mod --script "$HERE/guests/usb"
stick >"$WORK/stick.img"
lab_self --env LAB_GUEST_KERNEL="$LAB_GUEST_KERNEL" --device qemu-xhci,id=xhci,bus=spare \
	--qemu -drive --qemu "if=none,id=stick,format=raw,file=$WORK/stick.img" \
	--device usb-storage,bus=xhci.0,drive=stick
