#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A stock guest's virtio console, ports and balloon: drivers unbound and bound, bytes both ways at the
# console and at ports through a UNIX socket and a pty; memory taken by the balloon and reported free
# is the host's again. LAB_TEST_ROUNDS: how often drivers are unbound (default 5).

# shellcheck source=tests/lab/lib.sh
. "$(dirname -- "$(readlink -f -- "$0")")/lib.sh"

# run WHAT BALLOON-PROPERTIES: console.py's lines are in $WORK/seen.txt.
run()
{
	local vmm pty=

	"$VV_BUILD/tools/vfio-vmm" --kernel "$LAB_GUEST_KERNEL" --initrd "$WORK/console.cpio" \
		--memory 256 --cmdline "$GUEST_WORDS guest.rounds=$ROUNDS" --balloon"${2:+=$2}" \
		--chardev "socket,id=cmd,path=$WORK/cmd" --chardev "socket,id=sock,path=$WORK/sock" \
		--chardev pty,id=pty --control "$WORK/control" \
		--console "socket=$WORK/con,ports=p.cmd:cmd+p.sock:sock+p.pty:pty" \
		</dev/null >"$WORK/log.txt" 2>&1 &
	vmm=$!
	until_true 20 grep -q '^chardev pty on' "$WORK/log.txt"
	pty=$(sed -n 's/^chardev pty on //p' "$WORK/log.txt" | tr -d '\r')
	timeout $((90 + 4 * ROUNDS)) python3 "$HERE/console.py" "$1" "$WORK" $vmm "$pty" "$ROUNDS" 2>&1 |
		tee "$WORK/seen.txt"
	check "$1: the other end" equal "${PIPESTATUS[0]}" 0
	# A guest that waits for more would do so for ever.
	[ "$FAILED" -eq 0 ] || { tail -n 20 "$WORK/log.txt"; kill $vmm; }
	wait $vmm
	check "$1: powers off" equal $? 0
	tr -d '\r' <"$WORK/log.txt" >"$WORK/clean.txt"
	check "$1: nothing needs a reset" not grep -q 'needs a reset' "$WORK/clean.txt"
	check "$1: the guest warns of nothing that the lab does not" \
		guest_warnings "$WORK/clean.txt"
	check "$1: $ROUNDS times unbound and bound" grep -q "^guest: answer $ROUNDS\$" "$WORK/clean.txt"
}

seen()
{
	check "$1" grep -qE "^$2" "$WORK/seen.txt"
}

if in_lab; then
	mkdir -p "$WORK"
	run bytes free-page-reporting=on
	seen "the console, through a socket" 'hvc0: .*back 60000 bytes as they were'
	seen "a port, through a socket" 'p.sock: .*back 1048576 bytes as they were'
	seen "a port, through a pty" 'p.pty: .*back 1048576 bytes as they were'
	seen "the ports are told of" 'ports: .*port 2, p.sock: chardev sock at '
	seen "pages reported free are given back" 'free pages: .*given back'
	run memory ""
	seen "inflated: less for the guest and of the host" 'inflated True: .*: less'
	seen "the guest says how it is" 'statistics: .*free-memory.*total-memory'
	seen "deflated: the guest has it again" 'deflated True: again'
	seen "more than there is is refused" 'refused: a guest of 256 MiB'
	finish
fi
guest_kernel
guest console.cpio --module virtio_pci,virtio_console,virtio_balloon --script "$HERE/guests/console"
lab_self --env LAB_GUEST_KERNEL="$LAB_GUEST_KERNEL" --env ROUNDS="${LAB_TEST_ROUNDS:-5}"
