# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# For the lab's tests of functions that leave a running guest and come back: one VM, its control
# socket and what it tells there. The guest is guests/rounds. Needs lib.sh.
#
#   PID, LOG, EVENTS, CONTROL   of the VM started last
#   ROUND                       how often its guest has had the function, the present time included

LOG=$WORK/log EVENTS=$WORK/events CONTROL=$WORK/control
ROUND=1

# control COMMAND [ARGUMENTS]: vfio-vmm's answer; exit status 1 if it is an error.
control()
{
	python3 - "$CONTROL" "$@" <<'PY'
import json, socket, sys
s = socket.socket(socket.AF_UNIX)
s.settimeout(60)
s.connect(sys.argv[1])
s.sendall(json.dumps({"execute": sys.argv[2], "id": 1,
                      "arguments": json.loads(sys.argv[3]) if len(sys.argv) > 3 else {}}).encode() + b"\n")
for line in s.makefile():
    answer = json.loads(line)
    if "id" in answer:
        print(line.strip())
        sys.exit("error" in answer)
sys.exit(1)
PY
}

# What the VM tells, a line an event, until it ends.
control_events()
{
	python3 - "$CONTROL" "$EVENTS" <<'PY'
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
with open(sys.argv[2], "w", buffering=1) as out:
    for line in s.makefile():
        out.write(line)
PY
}

# start_rounds ARGS...: a guest with these arguments of vfio-vmm, until its function works.
start_rounds()
{
	: >"$LOG"
	: >"$EVENTS"
	"$VV_BUILD/tools/vfio-vmm" "$@" --kernel "$LAB_GUEST_KERNEL" --initrd "$WORK/rounds.cpio" \
		--memory 256 --control "$CONTROL" --log info --cmdline "$GUEST_WORDS" \
		</dev/null >"$LOG" 2>&1 &
	PID=$!
	ROUND=1
	until_true 30 [ -S "$CONTROL" ] || return 1
	control_events &
	working 180
}

# What there is to see of a wait in vain.
tell_all()
{
	{ tail -n 30 "$LOG"; cat "$EVENTS"; } | sed 's/^/     | /'
	return 1
}

# working SECONDS: the guest's driver has it in this round.
working()
{
	until_true "$1" grep -q "^guest: works, round $ROUND\b" "$LOG" || tell_all
}

# told EVENT COUNT: so often at least.
told()
{
	[ "$(grep -c "\"$1\"" "$EVENTS")" -ge "$2" ]
}

# left SECONDS: DEVICE_DELETED has come for this round.
left()
{
	until_true "$1" told DEVICE_DELETED "$ROUND" || tell_all || return 1
	grep DELETED "$EVENTS" | tail -n 1 | sed 's/.*"reason":/     /'
}

# Nothing of VFIO is open any more.
group_free()
{
	local fd

	for fd in "/proc/$PID/fd/"*; do
		case $(readlink "$fd") in
		/dev/vfio/* | *vfio-device*) echo "     holds $(readlink "$fd")"; return 1 ;;
		esac
	done
}

# back_in_guest WORDS BDF [JSON]: added as "nic" with JSON (begins with a comma), and it works.
back_in_guest()
{
	local words=$1 bdf=$2 more=${3:-}

	ROUND=$((ROUND + 1))
	check "$words: added" quiet control device_add \
		"{\"driver\": \"vfio-pci\", \"host\": \"$bdf\", \"id\": \"nic\"$more}"
	check "$words: works again" working 120
}

# ended STATUS: the VM, by itself or asked to.
ended()
{
	until_true 30 [ ! -e "/proc/$PID/exe" ] || { echo "     it has not ended"; return 1; }
	wait "$PID"
	equal $? "$1"
}

# host_works BDF DRIVER: back from vfio-bind, its own driver has it and the network answers.
host_works()
{
	modprobe "$2" || return 1
	[ -n "$(driver_of "$1")" ] || echo "$1" >/sys/bus/pci/drivers_probe
	equal "$(driver_of "$1")" "$2" && nic_works "$1"
}
