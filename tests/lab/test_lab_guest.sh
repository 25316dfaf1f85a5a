#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The lab can do what it is for: a stock VMM (Debian's QEMU) assigns the e1000e and the NVMe to a
# guest in it, both work there, and the host's drivers have them back afterwards. Where this
# passes and the same with vfio-vmm fails, the lab is not to blame.
#   LAB_TEST_VMM=vfio-vmm         the same checks with vfio-vmm of VV_BUILD
#   LAB_TEST_KERNEL=6.12          another guest's kernel
#   LAB_TEST_LAB_KERNEL=6.12      another kernel of the lab
#   LAB_TEST_IOMMU=amd            another PC

# shellcheck source=tests/lab/lib.sh
. "$(dirname -- "$(readlink -f -- "$0")")/lib.sh"
: "${LAB_TEST_VMM:=qemu}" "${LAB_TEST_KERNEL:=6.1}"

net_guest()
{
	local log=$WORK/net.log

	check "e1000e given to vfio-pci" give "$LAB_NIC"
	run_guest "$LAB_TEST_VMM" 256 1 "$LAB_GUEST_KERNEL" "$WORK/net.cpio" \
		"console=ttyS0 quiet panic=-1" "$LAB_NIC" | tr -d '\r' | tee "$log"
	check "VMM ended with 0" equal "${PIPESTATUS[0]}" 0
	check "driver bound in the guest" grep -qE '^guest: pci .* 0x8086:0x10d3 e1000e' "$log"
	check "DHCP" grep -q '^guest: eth0 has 10.0.2.15 by DHCP' "$log"
	check "10 of 10 pings" grep -q ' 10 packets received' "$log"
	check "1 MiB intact" grep -q '^guest: tftp f879b2e770d4e56c' "$log"
	check "an MSI-X vector each for rx, tx and the rest" equal \
		"$(grep -c '^guest: irq .*MSI.*eth0' "$log")" 3
	check "every counter moved" not grep -qE '^guest: irq [0-9]+: +0 ' "$log"
	check "the script's end" grep -q '^guest: script ended with status 0' "$log"
	check "back to e1000e" take_back "$LAB_NIC" e1000e
	check "works on the host again" nic_works "$LAB_NIC"
}

nvme_guest()
{
	local log=$WORK/nvme.log

	check "NVMe given to vfio-pci" give "$LAB_NVME"
	run_guest "$LAB_TEST_VMM" 512 2 "$LAB_GUEST_KERNEL" "$WORK/nvme.cpio" \
		"console=ttyS0 quiet panic=-1 guest.seed=7" "$LAB_NVME" | tr -d '\r' | tee "$log"
	check "VMM ended with 0" equal "${PIPESTATUS[0]}" 0
	check "64 MiB read intact" grep -q '^guest: read 52d012e85fe2b403' "$log"
	check "16 MiB written and read back" equal \
		"$(sed -n 's/^guest: wrote \([0-9a-f]*\).*/\1/p' "$log")" \
		"$(sed -n 's/^guest: back \([0-9a-f]*\).*/\1/p' "$log")"
	check "the script's end" grep -q '^guest: script ended with status 0' "$log"
	check "back to nvme" take_back "$LAB_NVME" nvme
	check "the host reads what the guest wrote" equal \
		"$(dd "if=$(disk_of "$LAB_NVME")" bs=1M skip=96 count=16 2>/dev/null | head -c 16)" \
		"guest 7 was here"
}

if in_lab; then
	net_guest
	nvme_guest
	finish
fi
LAB_GUEST_KERNEL=$("$VFIO_LAB" --kernel "$LAB_TEST_KERNEL" --print-kernel 2>"$WORK/err") ||
	skip "$(sed -n 's/^vfio-lab: unavailable: //p' "$WORK/err")"
"$REPO/tools/lab/mkguest" --kernel "$LAB_TEST_KERNEL" --module e1000e \
	--script "$HERE/guests/net" "$WORK/net.cpio" || exit 1
"$REPO/tools/lab/mkguest" --kernel "$LAB_TEST_KERNEL" --module nvme \
	--script "$HERE/guests/nvme" "$WORK/nvme.cpio" || exit 1
lab_self --env LAB_GUEST_KERNEL="$LAB_GUEST_KERNEL" \
	--env LAB_TEST_VMM="$LAB_TEST_VMM"
