#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A stock guest's virtio_rng driver: split rings, packed rings, and without MSI; the devices are
# suspended and resumed. No kick leaves the kernel.

# shellcheck source=tests/lab/lib.sh
. "$(dirname -- "$(readlink -f -- "$0")")/lib.sh"

# run WORDS RNG-PROPERTIES IRQ [CMDLINE]
run()
{
	local words=$1 props=$2 irq=$3 status log

	"$VV_BUILD/tools/vfio-vmm" --kernel "$LAB_GUEST_KERNEL" --initrd "$WORK/rng.cpio" --memory 256 \
		--rng${props:+=$props} --trace virtio_kick --cmdline "$GUEST_WORDS ${4:-}" \
		</dev/null 2>&1 | tr -d '\r' | tee "$WORK/log.txt"
	status=${PIPESTATUS[0]}
	log=$(<"$WORK/log.txt")

	check "$words: powers off" equal "$status" 0
	for what in first again resumed; do
		check "$words: $what" contains "$log" "^guest: $what 4096 bytes, 25[0-6] values"
	done
	check "$words: not the same twice" grep -q '^guest: different' "$WORK/log.txt"
	check "$words: suspended and resumed" grep -q '^guest: resumed' "$WORK/log.txt"
	check "$words: interrupts by $irq" contains "$log" "^guest: irq .*$irq.*virtio"
	check "$words: no trapped kick" not grep -q virtio_kick "$WORK/log.txt"
	check "$words: nothing needs a reset" not grep -q 'needs a reset' "$WORK/log.txt"
}

if in_lab; then
	mkdir -p "$WORK"
	run "split rings" "" MSI
	check "split rings: event index and indirect descriptors" \
		contains "$(<"$WORK/log.txt")" '^guest: features .{28}11.{2}1'
	run "packed rings" packed=on MSI
	check "packed rings: negotiated" \
		contains "$(<"$WORK/log.txt")" '^guest: features .{28}11.{2}1.1'
	run "without MSI" "" IO-APIC pci=nomsi
	finish
fi
guest_kernel
guest rng.cpio --module virtio_pci,virtio_rng --script "$HERE/guests/rng"
lab_self --env LAB_GUEST_KERNEL="$LAB_GUEST_KERNEL"
