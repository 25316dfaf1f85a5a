# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# What the tests of INTx in the lab share; lib.sh is there already.

# interrupts WHEN LOG NAME: what the line's counters of both CPUs add up to, each time.
interrupts()
{
	sed -n "s/^guest: irq $1 [0-9]*: *\([0-9]*\) *\([0-9]*\) *IO-APIC *[0-9]*-fasteoi .*$3.*/\1+\2/p" \
		"$2" | while read -r sum; do echo $((sum)); done
}

# moved LOG NAME MIN: the counter went up by MIN at least, from the first time to the last.
moved()
{
	local before after

	before=$(interrupts before "$1" "$2" | head -n 1)
	after=$(interrupts after "$1" "$2" | tail -n 1)
	echo "     $2: ${before:-?} before, ${after:-?} after"
	[ -n "$before" ] && [ -n "$after" ] && [ $((after - before)) -ge "$3" ]
}

# nic DRIVER INTERFACE LOG: traffic both ways, interrupts.
nic()
{
	check "$1: 20 of 20 pings" grep -q "^guest: $1 $2 20 of 20 pings" "$3"
	check "$1: 1 MiB by TFTP" grep -q "^guest: $1 tftp f879b2e770d4e56c" "$3"
	# shellcheck disable=SC2016 # awk's
	check "$1: more than 28000 bytes sent, 1 MiB received" awk -v d="$1" \
		'$2 == d && $3 == "sent" && $4 + 0 > 28000 && $6 + 0 > 1048576 { ok = 1 }
		 END { exit !ok }' "$3"
	check "$1: its counter moved" moved "$3" "$2" 100
}

# one IRQCHIP WARNINGS DEVICE...: a guest with these; WARNINGS is what the VMM may say.
one()
{
	local irqchip=$1 may=$2 log=$WORK/$1.txt device args=() sum
	shift 2

	for device in "$@"; do
		args+=(--device "vfio-pci,host=$device")
	done
	sum=$(seq -f %015.0f 0 1048575 | sha256sum | cut -d' ' -f1)
	"$VV_BUILD/tools/vfio-vmm" --accel "kvm,kernel-irqchip=$irqchip" --memory 256 --cpus 2 \
		--kernel "$LAB_GUEST_KERNEL" --initrd "$WORK/intx.cpio" \
		--cmdline "quiet mitigations=off pci=nomsi" "${args[@]}" </dev/null 2>"$log.err" |
		sed -u 's|\r||g' | tee "$log"
	check "VMM ended with 0" equal "${PIPESTATUS[0]}" 0
	check "the VMM warns of nothing else" equal "$(grep -vE "$may" "$log.err")" ""
	nic e1000 eth0 "$log"
	check "16 MiB read intact" equal "$(sed -n 's/^guest: read \([0-9a-f]*\).*/\1/p' "$log")" "$sum"
	check "written and read back" equal "$(sed -n 's/^guest: wrote \([0-9a-f]*\).*/\1/p' "$log")" \
		"$(sed -n 's/^guest: back \([0-9a-f]*\).*/\1/p' "$log")"
	check "no message interrupt" not grep -q '^guest: irq .*MSI' "$log"
	check "e1000 and NVMe share a line" grep -qE \
		'^guest: irq after .*-fasteoi .*(nvme0q0.*eth0|eth0.*nvme0q0)' "$log"
	grep -v 'e1000e.*Failed to initialize MSI.*Falling back to' "$log" >"$log.msi" # as asked
	check "the guest warns of nothing else that the lab does not" guest_warnings "$log.msi"
}

# intx_start OPTIONS...: the test itself, in the lab.
intx_start()
{
	guest_kernel
	guest intx.cpio --module e1000,e1000e,nvme --script "$HERE/guests/intx"
	lab_self --env LAB_GUEST_KERNEL="$LAB_GUEST_KERNEL" "$@"
}
