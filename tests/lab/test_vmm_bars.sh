#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Large BARs and expansion ROMs: an ivshmem-plain of 1 GiB, whose memory the lab sees through a
# second device, and a bochs-display with its ROM, assigned to one guest.

# shellcheck source=tests/lab/lib.sh
. "$(dirname -- "$(readlink -f -- "$0")")/lib.sh"

GIB=$((1 << 30))

# The lab's view: the second device's BAR 2, one word by its sysfs file's mapping.
word()
{
	busybox devmem $((VIEW + $1)) 32 ${2:+"$2"}
}

guest_word()
{
	sed -n "s/^guest: at $1 //p" "$WORK/log.txt"
}

if in_lab; then
	mkdir -p "$WORK"
	memory=0000:00:07.0 view=0000:00:08.0 display=0000:00:09.0
	echo 1 >"/sys/bus/pci/devices/$view/enable"
	VIEW=$(sed -n '3s/ .*//p' "/sys/bus/pci/devices/$view/resource")
	echo 1 >"/sys/bus/pci/devices/$display/enable"
	echo 1 >"/sys/bus/pci/devices/$display/rom"
	rom=$(sha256sum <"/sys/bus/pci/devices/$display/rom")
	check "the lab's own driver-less display has a ROM" [ "$(wc -c <"/sys/bus/pci/devices/$display/rom")" -gt 1024 ]
	echo 0 >"/sys/bus/pci/devices/$display/rom"
	echo 0 >"/sys/bus/pci/devices/$display/enable"
	for off in 0 $((GIB / 2)) $((GIB - 8)); do
		word "$off" $((0x1ab00000 + off / 4096 % 65536))
	done
	check "given to vfio-pci" give "$memory" "$display"
	plan=$("$VV_BUILD/tools/vfio-vmm" --dry-run --assign "$memory" --assign "$display" \
		--kernel "$LAB_GUEST_KERNEL" --memory 256 2>&1)
	check "the plan maps 1 GiB directly" contains "$plan" "BAR 2: 0x40000000 bytes, 0x40000000 mapped directly"
	check "the plan has the ROM" contains "$plan" "ROM: 0x[0-9a-f]+ bytes, read when the guest asks"
	run_guest vfio-vmm 256 1 "$LAB_GUEST_KERNEL" "$WORK/bars.cpio" "quiet mitigations=off iomem=relaxed" \
		"$memory" "$display" | tr -d '\r' | tee "$WORK/log.txt"
	check "VMM ended with 0" equal "${PIPESTATUS[0]}" 0
	check "the guest has a BAR of 1 GiB" grep -q "^guest: BAR 2 of $GIB bytes" "$WORK/log.txt"
	for off in 0 $((GIB / 2)) $((GIB - 8)); do
		check "at $off the guest read what the lab wrote" equal \
			$(($(guest_word "$off"))) $((0x1ab00000 + off / 4096 % 65536))
		check "at $off the lab reads what the guest wrote" equal \
			$(($(word $((off + 4))))) $((0xc0de0000 + off / 4096 % 65536))
	done
	check "the guest's ROM is the device's" grep -qF "guest: rom $rom" "$WORK/log.txt"
	check "its registers answer" grep -qi '^guest: vbe 0xB0C5' "$WORK/log.txt"
	check "its memory holds" grep -qi '^guest: pixel 0x600DF00D' "$WORK/log.txt"
	check "the guest warns of nothing that the lab does not" guest_warnings "$WORK/log.txt"
	finish
fi
[ -f /usr/share/seabios/vgabios-bochs-display.bin ] || skip "no vgabios-bochs-display.bin (package seabios)"
guest_kernel
guest bars.cpio --script "$HERE/guests/bars"
shm=$WORK/shared
truncate -s 1G "$shm"
lab_self --env LAB_GUEST_KERNEL="$LAB_GUEST_KERNEL" \
	--qemu -object --qemu "memory-backend-file,id=shm0,size=1G,share=on,mem-path=$shm" \
	--qemu -object --qemu "memory-backend-file,id=shm1,size=1G,share=on,mem-path=$shm" \
	--device ivshmem-plain,memdev=shm0,bus=pcie.0,addr=07.0 \
	--device ivshmem-plain,memdev=shm1,bus=pcie.0,addr=08.0 \
	--device bochs-display,bus=pcie.0,addr=09.0
