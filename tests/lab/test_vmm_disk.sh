#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# vfio-vmm with a virtio disk and an assigned NIC: the driver unbound and bound, parallel writes
# with the checksum of the file compared after power-off, a reboot with writes in flight, kill -9
# after a flush, a second user refused, the disk grown while the guest runs. LAB_TEST_ROUNDS: how often
# the driver is unbound and bound (default 5).

# shellcheck source=tests/lab/lib.sh
. "$(dirname -- "$(readlink -f -- "$0")")/lib.sh"
# shellcheck source=tests/lab/life.sh
. "$HERE/life.sh"

field()
{
	sed -n "s/^guest: $1 \([0-9a-f]*\).*/\1/p" "$WORK/log.txt"
}

file_sum()
{
	dd if="$WORK/disk.img" bs=1M count="$1" 2>/dev/null | sha256sum | cut -d' ' -f1
}

fresh()
{
	rm -f "$WORK/disk.img"
	truncate -s 96M "$WORK/disk.img"
}

# vmm PHASE ARGS...: becomes a guest with the disk, its console in log.txt. In a subshell.
vmm()
{
	local phase=$1
	shift

	exec "$VV_BUILD/tools/vfio-vmm" --kernel "$LAB_GUEST_KERNEL" --initrd "$WORK/disk.cpio" \
		--memory 256 --cmdline "$GUEST_WORDS guest.phase=$phase guest.rounds=$ROUNDS" \
		--disk "path=$WORK/disk.img,serial=LAB-DISK,num-queues=2" "$@" \
		</dev/null >"$WORK/log.txt" 2>&1
}

# Whether another process may have it: a plan opens the disk, too.
other_user()
{
	"$VV_BUILD/tools/vfio-vmm" --dry-run --disk "path=$WORK/disk.img" 2>&1
}

# shellcheck disable=SC2317 # called by check
said()
{
	grep -q "^guest: $1" "$WORK/log.txt" 2>/dev/null
}

if in_lab; then
	mkdir -p "$WORK"
	check "NIC given to vfio-pci" quiet "$VV_BUILD/tools/vfio-bind" "$LAB_NIC"
	fresh
	(vmm write --cpus 2 --assign "$LAB_NIC" --trace virtio_kick)
	check "VMM ended with 0" equal $? 0
	tr -d '\r' <"$WORK/log.txt" | tee "$WORK/clean.txt"
	check "96 MiB, a serial number, two queues, a write cache" grep -q \
		'^guest: disk 196608 sectors, serial LAB-DISK, 2 queues, write back' "$WORK/log.txt"
	check "$ROUNDS times unbound and bound" said "bound again, round $ROUNDS"
	check "written by four and read back" equal "$(field wrote)" "$(field back)"
	check "while the assigned NIC was pinging" equal "$(field pings)" 20
	check "no kick left the kernel" not grep -q virtio_kick "$WORK/log.txt"
	check "discard and write-zeroes are offered" grep -qE \
		'^guest: discards up to [1-9][0-9]*, zeroes up to [1-9]' "$WORK/log.txt"
	check "what was discarded is zero" quiet cmp -n 1048576 -i 41943040:0 "$WORK/disk.img" /dev/zero
	check "the guest rebooted with writes in flight" said rebooting
	check "what it had flushed was there" equal "$(field 'after the reboot')" "$(field wrote)"
	check "and is in the file after the power-off" equal "$(file_sum 30)" "$(field 'at the end')"
	check "the guest warns of nothing that the lab does not" guest_warnings "$WORK/clean.txt"
	check "given back" quiet "$VV_BUILD/tools/vfio-bind" --restore "$LAB_NIC"

	fresh
	(vmm kill) &
	vmm=$!
	check "a guest writes" until_true 120 said flushed
	check "its disk is nobody else's" contains "$(other_user)" 'in use by another'
	kill -9 $vmm
	wait $vmm 2>/dev/null
	check "killed; what was flushed is in the file" equal "$(file_sum 6)" "$(field flushed)"

	fresh
	(vmm resize --control "$CONTROL") &
	check "a guest waits" until_true 120 said disk
	check "its disk grows" quiet control block_resize '{"id":"disk0","size":134217728}'
	wait
	check "and the guest saw it" said "resized to 262144"
	finish
fi
guest_kernel
guest disk.cpio --module virtio_pci,virtio_blk,e1000e --script "$HERE/guests/disk"
lab_self --env LAB_GUEST_KERNEL="$LAB_GUEST_KERNEL" --env ROUNDS="${LAB_TEST_ROUNDS:-5}"
