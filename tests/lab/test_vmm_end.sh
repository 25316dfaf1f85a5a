#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The end of a VM with an assigned NIC in the middle of traffic: SIGTERM, kill -9, the control
# socket's quit, and the host that takes its device back (the unbind must not hang). Each time the host's driver takes the device back and it works, and nothing is
# left open.

# shellcheck source=tests/lab/lib.sh
. "$(dirname -- "$(readlink -f -- "$0")")/lib.sh"

# start: the guest, until its traffic flows. Sets PID.
# shellcheck disable=SC2317 # called through check
start()
{
	: >"$WORK/log"
	"$VV_BUILD/tools/vfio-vmm" --assign "$LAB_NIC,on-request=stop" \
		--kernel "$LAB_GUEST_KERNEL" --initrd "$WORK/net.cpio" --memory 256 \
		--control "$WORK/control" --cmdline "$GUEST_WORDS" </dev/null >"$WORK/log" 2>&1 &
	PID=$!
	for ((end = SECONDS + 180; SECONDS < end; )); do
		! grep -q "^guest: traffic" "$WORK/log" || return 0
		readlink "/proc/$PID/exe" >/dev/null || break # a zombie has none
		sleep 0.2
	done
	sed 's/^/     | /' "$WORK/log"
	kill -9 "$PID" 2>/dev/null
	return 1
}

back_and_working()
{
	check "$1: given back" quiet "$VV_BUILD/tools/vfio-bind" --restore "$LAB_NIC"
	modprobe e1000e
	[ -n "$(driver_of "$LAB_NIC")" ] || echo "$LAB_NIC" >/sys/bus/pci/drivers_probe
	check "$1: the host's driver has it" equal "$(driver_of "$LAB_NIC")" e1000e
	check "$1: it works there" quiet nic_works "$LAB_NIC"
}

# round NAME EXIT_STATUS COMMAND...: the guest is ended by COMMAND.
round()
{
	local name=$1 want=$2 status
	shift 2

	check "$name: bound" quiet "$VV_BUILD/tools/vfio-bind" "$LAB_NIC"
	check "$name: traffic flows" start
	"$@"
	wait "$PID" 2>/dev/null
	status=$?
	check "$name: exit status" equal $status "$want"
	case $want in
	4) check "$name: said" grep -q "$LAB_NIC: the host asks for the device back" "$WORK/log" ;;
	137) ;;
	*) check "$name: nothing to say" not grep -q '^vfio-vmm:' "$WORK/log" ;;
	esac
	[ "$want" -eq 137 ] || check "$name: socket removed" [ ! -e "$WORK/control" ]
	back_and_working "$name"
}

# shellcheck disable=SC2317 # called through round
ask()
{
	python3 - "$WORK/control" "$1" <<'PY'
import json, socket, sys
s = socket.socket(socket.AF_UNIX)
s.settimeout(20)
s.connect(sys.argv[1])
s.sendall(json.dumps({"execute": sys.argv[2]}).encode() + b"\n")
print(s.recv(4096).decode())
PY
}

# shellcheck disable=SC2317 # called through round
signal()
{
	kill -s "$1" "$PID"
}

# shellcheck disable=SC2317 # called through round
reclaim()
{
	local before=$SECONDS

	check "the unbind ends" timeout 60 sh -c "echo $LAB_NIC >/sys/bus/pci/drivers/vfio-pci/unbind"
	echo "     after $((SECONDS - before)) s"
}

if in_lab; then
	mkdir -p "$WORK"
	round SIGTERM 143 signal TERM
	round "kill -9" 137 signal KILL
	round "control quit" 0 ask quit
	round "reclaimed" 4 reclaim
	finish
fi
guest_kernel
guest net.cpio --module e1000e --script "$HERE/guests/traffic"
lab_self --env LAB_GUEST_KERNEL="$LAB_GUEST_KERNEL"
