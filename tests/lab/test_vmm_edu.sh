#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# vfio-vmm with an assigned `edu`, driven by a guest of a few kilobytes (guests/edu.c): registers,
# MSI, DMA within guest RAM. DMA outside it is blocked and logged by the host's IOMMU, and neither
# the guest nor the device is the worse for it.

# shellcheck source=tests/lab/lib.sh
. "$(dirname -- "$(readlink -f -- "$0")")/lib.sh"

# said WORDS: the number, in hexadecimal, behind the guest's last line of these words.
said()
{
	sed -n "s/^edu: $1 0*\([0-9a-f]\+\)$/\1/p" "$WORK/log.txt" | tail -1
}

if in_lab; then
	mkdir -p "$WORK"
	check "edu given to vfio-pci" quiet "$VV_BUILD/tools/vfio-bind" "$LAB_EDU"
	timeout 120 "$VV_BUILD/tools/vfio-vmm" --assign "$LAB_EDU" --kernel "$WORK/edu.elf" \
		--memory 128 </dev/null 2>&1 | tr -d '\r' | tee "$WORK/log.txt"
	check "VMM ended with 0" equal "${PIPESTATUS[0]}" 0
	check "its identification" equal "$(said id)" 10000ed
	check "a register inverts what is written" equal "$(said inverted)" edcba987
	check "10! is computed" equal "$(said factorial)" 375f00
	check "one MSI, then one more for each of two transfers" \
		equal "$(sed -n 's/^edu: interrupts 0*//p' "$WORK/log.txt" | xargs)" "1 3"
	check "2 KiB went into the device and came back" equal "$(said 'wrong words')" 0
	check "the guest lives after DMA outside its RAM" equal "$(said 'still alive, interrupts')" 4
	check "and the device works" equal "$(said 'after it wrong words')" 0
	check "the host's IOMMU blocked and logged it" contains "$(dmesg)" \
		"DMAR:.*DMA Write.*${LAB_EDU#0000:}.*fault addr 0xc000000|AMD-Vi:.*IO_PAGE_FAULT.*${LAB_EDU}.*address=0xc000000"
	check "given back" quiet "$VV_BUILD/tools/vfio-bind" --restore "$LAB_EDU"
	finish
fi
command -v cc objcopy >/dev/null || skip "no C compiler or no objcopy"
# 32-bit code, as a PVH kernel begins, in the 64-bit ELF that a loader takes.
cc -m32 -Os -ffreestanding -fno-pie -fno-stack-protector -fno-asynchronous-unwind-tables -nostdlib \
	-static -no-pie -Wl,-N,-e,entry,-Ttext=0x100000,--section-start=.note.Xen=0x110000,--build-id=none \
	-o "$WORK/edu32.elf" "$HERE/guests/edu.c" 2>"$WORK/err" ||
	{ cat "$WORK/err"; exit 1; }
objcopy -O elf64-x86-64 "$WORK/edu32.elf" "$WORK/edu.elf" || exit 1
lab_self --memory 2G
