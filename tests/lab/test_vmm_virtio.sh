#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A stock guest with a virtio disk, network card, console port, socket, random source and balloon
# together, and an assigned NIC: all at once, their drivers unbound and bound, a reboot while all are
# at work, and the disk's file after power-off. The balloon is refused what the NIC's DMA pins.
# LAB_TEST_ROUNDS: how often drivers are unbound (default 5).

# shellcheck source=tests/lab/lib.sh
. "$(dirname -- "$(readlink -f -- "$0")")/lib.sh"
# shellcheck source=tests/lab/life.sh
. "$HERE/life.sh"

field()
{
	sed -n "s/^guest: $1 \([0-9a-f]*\).*/\1/p" "$WORK/log.txt"
}

# shellcheck disable=SC2317 # called by check
said()
{
	grep -q "^guest: $1" "$WORK/log.txt"
}

if in_lab; then
	mkdir -p "$WORK"
	truncate -s 96M "$WORK/disk.img"
	modprobe -a tun vhost_vsock
	ip tuntap add tap0 mode tap
	ip addr add 192.168.77.1/24 dev tap0
	ip link set tap0 up
	python3 "$HERE/echo_peer.py" 192.168.77.1 "$WORK/port" &
	peer=$!
	(until_true 200 said "first: random" && control balloon '{"size":"128M"}') >"$WORK/balloon.txt" 2>&1 &
	check "NIC given to vfio-pci" quiet "$VV_BUILD/tools/vfio-bind" "$LAB_NIC"
	"$VV_BUILD/tools/vfio-vmm" --kernel "$LAB_GUEST_KERNEL" --initrd "$WORK/virtio.cpio" \
		--memory 256 --cpus 2 --cmdline "$GUEST_WORDS guest.rounds=$ROUNDS" \
		--disk "path=$WORK/disk.img,num-queues=2" --net tap=tap0 --rng --vsock cid=3 \
		--balloon --control "$CONTROL" \
		--chardev "socket,id=port,path=$WORK/port" \
		--device virtio-console,ports=echo:port --assign "$LAB_NIC" \
		</dev/null 2>&1 | sed -u 's|\r||' | tee "$WORK/log.txt"
	check "VMM ended with 0" equal "${PIPESTATUS[0]}" 0
	for when in first rebound second; do
		for what in disk net console vsock; do
			check "$when: $what" said "$when: $what intact"
		done
		check "$when: random source" said "$when: random"
		check "$when: assigned NIC" said "$when: assigned NIC 20 pings"
	done
	check "the balloon is refused memory" contains "$(<"$WORK/balloon.txt")" '"error".*pin'
	for driver in virtio_balloon virtio_blk virtio_net virtio_console vmw_vsock_virtio_transport; do
		check "$driver unbound and bound $ROUNDS times" said "$driver bound again $ROUNDS times"
	done
	check "the guest rebooted with all at work" said rebooting
	check "what it had flushed was there" equal "$(field 'after the reboot')" "$(field flushed)"
	check "and is in the file after the power-off" equal \
		"$(head -c 36M "$WORK/disk.img" | sha256sum | cut -d' ' -f1)" "$(field 'at the end')"
	check "nothing needs a reset" not grep -q 'needs a reset' "$WORK/log.txt"
	check "the guest warns of nothing that the lab does not" guest_warnings "$WORK/log.txt"
	kill $peer
	check "given back" quiet "$VV_BUILD/tools/vfio-bind" --restore "$LAB_NIC"
	finish
fi
command -v cc >/dev/null || skip "no C compiler"
cc -O2 -static -D_GNU_SOURCE -o "$WORK/echoed" "$HERE/guests/echoed.c" 2>"$WORK/err" ||
	{ cat "$WORK/err"; exit 1; }
guest_kernel
guest virtio.cpio --module virtio_pci,virtio_blk,virtio_net,virtio_rng,virtio_console,virtio_balloon \
	--module vmw_vsock_virtio_transport,e1000e --file "$WORK/echoed" --script "$HERE/guests/virtio"
lab_self --env LAB_GUEST_KERNEL="$LAB_GUEST_KERNEL" --env ROUNDS="${LAB_TEST_ROUNDS:-5}"
