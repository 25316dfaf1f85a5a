#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# vfio-vmm with a virtio network card and an assigned NIC. The other end is the lab itself, through a
# TAP interface: pings, a file fetched and sent back with checksums while the assigned NIC pings,
# the driver unbound and bound. The same with vhost=on and without the NIC; the file through passt.
# LAB_TEST_MIB is its size; a quarter of it with vhost, a sixteenth through passt.

# shellcheck source=tests/lab/lib.sh
. "$(dirname -- "$(readlink -f -- "$0")")/lib.sh"

ADDRESS=192.168.77.1
ROUTE=192.168.88

# guest_run NAME WORDS ARGS...: a guest with the card, its console in NAME.txt.
guest_run()
{
	local name=$1 words=$2
	shift 2

	"$VV_BUILD/tools/vfio-vmm" --kernel "$LAB_GUEST_KERNEL" --initrd "$WORK/vnet.cpio" \
		--memory 256 --cmdline "$GUEST_WORDS $words" "$@" \
		</dev/null 2>&1 | stdbuf -oL tr -d '\r' | tee "$WORK/$name.txt"
	check "$name: VMM ended with 0" equal "${PIPESTATUS[0]}" 0
}

# sums WORD: bytes and checksum of what was last sent or got.
sums()
{
	sed -n "s/^$1 \([0-9]* [0-9a-f]*\).*/\1/p" "$WORK/peer.txt" | tail -n 1
}

# copied NAME MIB: the file arrived there as it was sent, and came back as it was.
copied()
{
	check "$1: $2 MiB sent" equal "$(sums sent | cut -d" " -f1)" $(($2 << 20))
	check "$1: they came as they were" equal \
		"$(sed -n 's/^guest: relayed //p' "$WORK/$1.txt")" "$(sums sent)"
	check "$1: and came back" equal "$(sums got)" "$(sums sent)"
}

if in_lab; then
	mkdir -p "$WORK"
	modprobe tun
	ip tuntap add tap0 mode tap multi_queue
	ip addr add $ADDRESS/24 dev tap0
	ip link set tap0 up
	python3 "$REPO/tests/lab/vnet_peer.py" "$MIB" $((MIB / 4)) $((MIB / 16)) >"$WORK/peer.txt" &
	peer=$!
	check "NIC given to vfio-pci" quiet "$VV_BUILD/tools/vfio-bind" "$LAB_NIC"

	guest_run tap "guest.rounds=$ROUNDS" --cpus 2 --net tap=tap0,queues=2,mac=52:54:00:77:00:02 \
		--assign "$LAB_NIC"
	check "tap: two queues, its address, a link" grep -q \
		'52:54:00:77:00:02 mtu 1500 queues 2 carrier 1' "$WORK/tap.txt"
	check "tap: 20 pings of 20" grep -q '^guest: pings 20' "$WORK/tap.txt"
	check "tap: 20 of the assigned NIC, at the same time" grep -q '^guest: assigned pings 20' \
		"$WORK/tap.txt"
	copied tap "$MIB"
	check "tap: unbound and bound $ROUNDS times" grep -q \
		"^guest: bound again, round $ROUNDS: pings 2" "$WORK/tap.txt"
	check "tap: the guest warns of nothing that the lab does not" guest_warnings "$WORK/tap.txt"
	check "given back" quiet "$VV_BUILD/tools/vfio-bind" --restore "$LAB_NIC"

	modprobe vhost_net
	guest_run vhost "guest.rounds=1" --cpus 2 --net tap=tap0,queues=2,vhost=on
	check "vhost: 20 pings of 20" grep -q '^guest: pings 20' "$WORK/vhost.txt"
	copied vhost $((MIB / 4))
	check "vhost: unbound and bound" grep -q '^guest: bound again, round 1: pings 2' \
		"$WORK/vhost.txt"
	check "vhost: the guest warns of nothing that the lab does not" guest_warnings \
		"$WORK/vhost.txt"

	# passt wants a route that it can give the guest; its gateway is the host.
	modprobe dummy
	ip link add route type dummy
	ip addr add $ROUTE.1/24 dev route
	ip link set route up
	ip route add default via $ROUTE.254 dev route
	guest_run user "guest.net=user" --net user
	check "user: DHCP" grep -q "^guest: eth0 .* carrier 1" "$WORK/user.txt"
	copied user $((MIB / 16))
	check "user: passt has ended" not pgrep -x passt
	kill $peer 2>/dev/null
	sed 's/^/     | /' "$WORK/peer.txt"
	finish
fi
command -v passt >/dev/null || skip "passt is missing: apt-get install passt"
guest_kernel
cc -O2 -static -o "$WORK/relay" "$HERE/guests/relay.c" -lz 2>"$WORK/err" ||
	{ cat "$WORK/err"; exit 1; }
guest vnet.cpio --file "$WORK/relay" --module virtio_pci,virtio_net,e1000e --script "$HERE/guests/vnet"
lab_self --env LAB_GUEST_KERNEL="$LAB_GUEST_KERNEL" --env MIB="${LAB_TEST_MIB:-128}" \
	--env ROUNDS="${LAB_TEST_ROUNDS:-5}"
