#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A stock guest's virtio_vsock driver against both back ends, the kernel's vhost-vsock and the UNIX
# sockets: connections both ways, a refused one, the driver unbound and bound with one open.
# LAB_TEST_ROUNDS is how often.

# shellcheck source=tests/lab/lib.sh
. "$(dirname -- "$(readlink -f -- "$0")")/lib.sh"

# run NAME PEER-WHERE PROPERTIES...
run()
{
	local name=$1 where=$2 props=$3 peer

	python3 "$HERE/vsock_peer.py" "$name" "$where" "$ROUNDS" "$BYTES" >"$WORK/$name.host" 2>&1 &
	peer=$!
	timeout $((60 + 12 * ROUNDS)) "$VV_BUILD/tools/vfio-vmm" --kernel "$LAB_GUEST_KERNEL" \
		--initrd "$WORK/vsock.cpio" --memory 256 --vsock "$props" --trace virtio_kick \
		--cmdline "$GUEST_WORDS guest.rounds=$ROUNDS guest.bytes=$BYTES" \
		</dev/null 2>&1 | stdbuf -oL tr -d '\r' | tee "$WORK/$name.txt"
	check "$name: powers off" equal "${PIPESTATUS[0]}" 0
	kill $peer 2>/dev/null
	wait $peer
	sed 's/^/     | /' "$WORK/$name.host"
	check "$name: the host connects, round after round" \
		equal "$(grep -c "^host: talked $BYTES right" "$WORK/$name.host")" $((ROUNDS + 1))
	check "$name: the guest connects" \
		equal "$(grep -c "^guest: talked $BYTES bytes, 0 wrong" "$WORK/$name.txt")" $((ROUNDS + 1))
	check "$name: where nobody listens it is refused" \
		equal "$(grep -c '^guest: talk: Connection reset' "$WORK/$name.txt")" $((ROUNDS + 1))
	check "$name: an open connection ends with the driver" \
		equal "$(grep -c '^guest: let go' "$WORK/$name.txt")" "$ROUNDS"
	check "$name: no trapped kick" not grep -q virtio_kick "$WORK/$name.txt"
	check "$name: nothing needs a reset" not grep -q 'needs a reset' "$WORK/$name.txt"
	check "$name: the guest warns of nothing that the lab does not" guest_warnings "$WORK/$name.txt"
}

if in_lab; then
	mkdir -p "$WORK"
	modprobe vhost_vsock
	run vhost 42 cid=42
	run mux "$WORK/v" "cid=42,socket=$WORK/v,packed=on"
	check "mux: the host sees the driver's end, too" \
		equal "$(grep -c '^host: echoed 0' "$WORK/mux.host")" "$ROUNDS"
	check "mux: its socket is gone" not test -e "$WORK/v"
	finish
fi
command -v cc >/dev/null || skip "no C compiler"
cc -O2 -static -o "$WORK/vsock-peer" "$HERE/guests/vsock.c" 2>"$WORK/err" || { cat "$WORK/err"; exit 1; }
guest_kernel
guest vsock.cpio --module virtio_pci,vmw_vsock_virtio_transport --file "$WORK/vsock-peer" \
	--script "$HERE/guests/vsock"
lab_self --env LAB_GUEST_KERNEL="$LAB_GUEST_KERNEL" --env ROUNDS="${LAB_TEST_ROUNDS:-5}" \
	--env BYTES="${LAB_TEST_BYTES:-1048576}"
